//go:build !unix

package main

// protectSecrets does nothing here: the system makes no core file unasked, and
// a process cannot replace itself to change how it crashes.
func protectSecrets() {}
