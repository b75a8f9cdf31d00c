//go:build unix

package crash

import (
	"os"
	"strings"
	"syscall"
)

// traceVariable tells the runtime what to print when it crashes. The runtime reads
// it before any of our code runs, so the program sets it and starts itself anew,
// once. If the user has set it, it stays as it is.
const traceVariable = "GOTRACEBACK"

func init() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	if _, set := os.LookupEnv(traceVariable); set || isTest() {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return // less protected, but the program works
	}
	_ = syscall.Exec(self, os.Args, append(os.Environ(), traceVariable+"=none"))
}

// isTest reports whether go test runs this: the traces are needed to see why a test
// crashed.
func isTest() bool { return len(os.Args) > 0 && strings.HasSuffix(os.Args[0], ".test") }
