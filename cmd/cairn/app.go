package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/mattn/go-isatty"
)

// app is what the commands of one run share.
type app struct {
	in        io.Reader
	stdin     io.Reader // what input returns
	out, errs io.Writer
	flags     globalFlags
	colour    bool                          // on errs
	terminal  bool                          // errs is one
	keyboard  func() (io.ReadCloser, error) // opens the terminal to read from
	prepared  bool                          // the settings are read
	named     bool                          // the network, by flag or environment, for this command
	log       *slog.Logger
	closers   []func()
	ofHome    []string // warnings that are told already, and that a result has to hold
}

// globalFlags are taken by every command.
type globalFlags struct {
	home      string
	network   string
	bootstrap []string
	noMDNS    bool
	json      bool
	quiet     bool
	logLevel  string
}

func newApp(in io.Reader, out, errs io.Writer) *app {
	a := &app{in: in, out: out, errs: errs, log: slog.New(slog.DiscardHandler), keyboard: openKeyboard}
	a.terminal, a.colour = isTerminal(errs), wantsColour(errs)
	return a
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

func isTerminalReader(r io.Reader) bool {
	f, ok := r.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// wantsColour reports whether w can show colour and the user wants it.
func wantsColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// onClose notes f to be called when the command has ended, the last one first.
func (a *app) onClose(f func()) { a.closers = append(a.closers, f) }

func (a *app) close() {
	for i := len(a.closers) - 1; i >= 0; i-- {
		a.closers[i]()
	}
	a.closers = nil
}

// say writes a line for people, to standard error.
func (a *app) say(format string, args ...any) {
	_, _ = fmt.Fprintf(a.errs, format+"\n", args...)
}

// note says what is good to know, except with --quiet or --json.
func (a *app) note(format string, args ...any) {
	if !a.flags.quiet && !a.flags.json {
		a.say(format, args...)
	}
}

// warn says what should worry the reader, except with --json, where the result
// holds the same.
func (a *app) warn(format string, args ...any) {
	if !a.flags.json {
		a.say("%s: "+format, append([]any{a.yellow("warning")}, args...)...)
	}
}

// print writes to standard output, which is for results. Its error must be
// returned: a result that nobody got is no result.
func (a *app) print(format string, args ...any) error {
	if _, err := fmt.Fprintf(a.out, format, args...); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

// result writes a command's one JSON object to standard output.
func (a *app) result(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write the result: %w", err)
	}
	return a.print("%s\n", b)
}

// event writes a JSON line about work under way to standard error.
func (a *app) event(v any) {
	b, err := json.Marshal(v)
	if err == nil {
		_, _ = fmt.Fprintf(a.errs, "%s\n", b)
	}
}

func (a *app) paint(code, text string) string {
	if !a.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (a *app) red(text string) string    { return a.paint("31", text) }
func (a *app) green(text string) string  { return a.paint("32", text) }
func (a *app) yellow(text string) string { return a.paint("33", text) }
func (a *app) bold(text string) string   { return a.paint("1", text) }
