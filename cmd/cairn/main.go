// Command cairn keeps files on other people's disks and gives them back: one
// binary for who donates disk, who stores files and who studies the network.
//
// This package is wiring and text. Every sentence that a person reads stands
// here, under these rules: lower case, no full stop at the end; first what is
// wrong, then, after "hint:", what to do; nothing that a link or a key holds
// is ever repeated. What the commands print for programs is docs/json.md;
// what they say to nodes is protocol/SPEC.md. It decides nothing itself and
// nobody imports it. One file a command; session.go opens what they share.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	_ "github.com/cairnstore/cairn/cmd/cairn/crash" // while packages are initialised
)

// version is set by the linker (Makefile).
var version = "devel"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// errInterrupted is why a context ended that a signal ended.
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
	if !a.prepared { // a command line that was not read to its end
		a.flags.json = a.flags.json || asksJSON(args)
	}
	if errors.Is(context.Cause(ctx), errInterrupted) {
		err = fmt.Errorf("%w", errInterrupted)
	}
	a.complain(err)
	return statusOf(err)
}

// interruptible returns a context that the first SIGINT or SIGTERM ends; the
// second one ends the process. SIGQUIT and SIGABRT end it at once and without
// the goroutines' stacks, on which keys may lie: the runtime prints those of a
// fatal signal whatever GOTRACEBACK says.
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
