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

// clockTicks is the unit of /proc/PID/stat, USER_HZ: 100 on every Linux that
// runs Go.
const clockTicks = 100

// ownCPU returns the processor time of this process.
func ownCPU() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// processCPU returns the processor time of another process.
func processCPU(pid int) (time.Duration, error) {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, err
	}
	// The second field, in brackets, may hold spaces; user and system time are
	// the 12th and 13th behind it.
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0, fmt.Errorf("stat of process %d: %d fields", pid, len(f))
	}
	var ticks int64
	for _, t := range f[11:13] {
		n, err := strconv.ParseInt(t, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / clockTicks, nil
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
