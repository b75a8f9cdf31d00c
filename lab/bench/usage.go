//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// processCPU returns the processor time of another process: of its threads, in
// nanoseconds each. The kernel's own sum counts in hundredths of a second, which
// for ten nodes is as much as the changes to be measured. Threads that have ended
// are missing, but Go hardly ever ends one.
func processCPU(pid int) (total time.Duration, err error) {
	dir := filepath.Join("/proc", strconv.Itoa(pid), "task")
	threads, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	known := false
	for _, t := range threads {
		b, err := os.ReadFile(filepath.Join(dir, t.Name(), "schedstat"))
		if os.IsNotExist(err) {
			continue // it has ended since
		}
		if err != nil {
			return 0, err
		}
		f := strings.Fields(string(b)) // on a processor, waiting for one, how often
		if len(f) == 0 {
			return 0, fmt.Errorf("schedstat of process %d is empty", pid)
		}
		n, err := strconv.ParseInt(f[0], 10, 64)
		if err != nil {
			return 0, err
		}
		total, known = total+time.Duration(n), true
	}
	if !known {
		return 0, fmt.Errorf("this kernel does not tell the processor time of process %d", pid)
	}
	return total, nil
}

// watchMemory returns the peak of a process's resident memory, in bytes, as
// last read before it ended.
func watchMemory(pid int, ended <-chan struct{}) (peak int64) {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ended:
			return peak
		case <-tick.C:
		}
		peak = max(peak, memoryOf(pid, "VmHWM:"))
	}
}

// processMemory returns another process's resident memory, in bytes; 0 where
// it cannot be read.
func processMemory(pid int) int64 { return memoryOf(pid, "VmRSS:") }

// memoryOf reads one line of /proc/PID/status.
func memoryOf(pid int, line string) int64 {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
	if err != nil {
		return 0
	}
	_, rest, ok := strings.Cut(string(b), line)
	f := strings.Fields(rest)
	if !ok || len(f) == 0 {
		return 0
	}
	kb, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return 0
	}
	return kb << 10
}

func datasync(f *os.File) error { return unix.Fdatasync(int(f.Fd())) }

// perGiB returns the CPU seconds that each GiB of a file takes.
func perGiB(cpu time.Duration, size int64) float64 {
	return cpu.Seconds() * float64(1<<30) / float64(size)
}

func middle(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
