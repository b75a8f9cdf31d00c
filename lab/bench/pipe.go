//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
)

// The far ends of the pipes that the yardstick reads its source from and writes
// its result to, as the program under measurement does. They are processes of
// their own, so that the time of giving and taking the bytes is in neither
// measurement.
const (
	feedMode  = "feed"  // with BYTES: writes that many
	drainMode = "drain" // reads until the end
)

// pipeEnd runs this program as the far end of a pipe, where the arguments ask for
// that.
func pipeEnd(args []string) (ran bool, err error) {
	switch {
	case len(args) == 1 && args[0] == drainMode:
		_, err = bufio.NewReaderSize(os.Stdin, 1<<20).WriteTo(io.Discard)
		return true, err
	case len(args) == 2 && args[0] == feedMode:
		n, err := strconv.ParseInt(args[1], 10, 64)
		if err == nil {
			_, err = io.Copy(os.Stdout, source(0, n))
		}
		return true, err
	}
	return false, nil
}

// source is what is put: n bytes that follow from a seed.
func source(seed byte, n int64) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

// feed returns a pipe that delivers n bytes. done waits for the far end; call it
// once all were read.
func feed(n int64) (in io.Reader, done func() error, err error) {
	cmd := exec.Command("/proc/self/exe", feedMode, strconv.FormatInt(n, 10))
	in, err = cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("start what feeds the yardstick: %w", err)
	}
	return in, cmd.Wait, nil
}

// drain returns a pipe whose far end reads what is written. done closes it and waits
// until all was read.
func drain() (out io.Writer, done func() error, err error) {
	cmd := exec.Command("/proc/self/exe", drainMode)
	pipe, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("start what drains the yardstick: %w", err)
	}
	return pipe, func() error { return errors.Join(pipe.Close(), cmd.Wait()) }, nil
}
