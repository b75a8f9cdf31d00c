//go:build unix

package crash

import (
	"os"
	"strings"
	"syscall"
)

// traceVariable tells the runtime what to print of a crash. The runtime reads
// it before any of our code runs, so the program starts itself anew with it,
// once. Who sets it gets the traces.
const traceVariable = "GOTRACEBACK"

func init() {
	_ = syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{})
	if _, set := os.LookupEnv(traceVariable); set || isTest() {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return // as before: less protected, but at work
	}
	_ = syscall.Exec(self, os.Args, append(os.Environ(), traceVariable+"=none"))
}

// isTest reports whether go test runs this: whoever reads why a test crashed
// needs the traces.
func isTest() bool { return len(os.Args) > 0 && strings.HasSuffix(os.Args[0], ".test") }
