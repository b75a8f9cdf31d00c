//go:build unix

package main

import (
	"os"
	"syscall"
)

// protectSecrets keeps keys out of what a crash leaves behind: no core file,
// and no stack traces, which print parts of the values on the stack. The
// runtime reads GOTRACEBACK before any of our code runs, so the program starts
// itself anew with it, once. Who sets GOTRACEBACK gets the traces.
func protectSecrets() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	if _, set := os.LookupEnv(traceVariable); set {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return // as before: less protected, but at work
	}
	_ = syscall.Exec(self, os.Args, append(os.Environ(), traceVariable+"=none"))
}

const traceVariable = "GOTRACEBACK"
