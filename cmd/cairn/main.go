// Command cairn keeps files on other people's disks and gives them back: one
// binary for those who donate disk, store files or study the network.
//
// This package is wiring and text. Every sentence that a person reads is written
// here, under these rules: lower case, no full stop at the end; first what is
// wrong, then, after "hint:", what to do; never repeat anything from a link or a
// key. docs/json.md describes what the commands print for programs,
// protocol/SPEC.md what they say to nodes. The package decides nothing itself and
// nothing imports it. One file for each command; session.go opens what they share.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/cairnstore/cairn/cmd/cairn/crash" // works while packages are initialised
)

// version is set by the linker (Makefile).
var version = "devel"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = errors.New("interrupted")

// run is the whole program: it returns the exit status.
func run(args []string, in io.Reader, out, errs io.Writer) int {
	ctx, stop := interruptible()
	defer stop()
	a := newApp(in, out, errs)
	root := rootCommand(a)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	a.close()
	if err == nil {
		return statusDone
	}
	if !a.prepared { // the command line was not read to its end
		a.flags.json = a.flags.json || asksJSON(args)
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		err = fmt.Errorf("%w", errInterrupted)
	}
	a.complain(err)
	return statusOf(err)
}

// interruptible returns a context that the first SIGINT or SIGTERM ends; the
// second one ends the process. SIGQUIT and SIGABRT end it immediately and without
// printing the goroutines' stacks, which may hold keys: on a fatal signal the runtime
// prints them whatever GOTRACEBACK says.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGQUIT, syscall.SIGABRT)
	go func() {
		for s := range signals {
			if s == syscall.SIGQUIT || s == syscall.SIGABRT || ctx.Err() != nil {
				os.Exit(statusInterrupted)
			}
			cancel(errInterrupted)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(signals)
		cancel(nil)
	}
}
