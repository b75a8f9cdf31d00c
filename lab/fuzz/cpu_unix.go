//go:build unix

package fuzz

import (
	"time"

	"golang.org/x/sys/unix"
)

// ownCPU returns the processor time of this process.
func ownCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
