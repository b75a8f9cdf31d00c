//go:build !unix

package main

// descriptorLimit: the system has none that a program of this kind meets.
func descriptorLimit() (limit uint64, known bool) { return 0, false }
