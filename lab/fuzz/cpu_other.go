//go:build !unix

package fuzz

import "time"

// ownCPU is not known here.
func ownCPU() time.Duration { return 0 }
