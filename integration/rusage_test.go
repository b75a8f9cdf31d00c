//go:build unix

package integration

import (
	"os"
	"runtime"
	"syscall"
)

// maxRSS returns the most memory, in bytes, that a process had.
func maxRSS(s *os.ProcessState) int64 {
	u, ok := s.SysUsage().(*syscall.Rusage)
	if !ok {
		return 0
	}
	if runtime.GOOS == "darwin" {
		return int64(u.Maxrss) // bytes there, kilobytes elsewhere
	}
	return int64(u.Maxrss) << 10
}
