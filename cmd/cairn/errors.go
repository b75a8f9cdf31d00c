package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
)

// The exit statuses, part of the contract with scripts.
const (
	statusDone        = 0
	statusFailed      = 1
	statusUsage       = 2
	statusNotFound    = 3
	statusTooFew      = 4
	statusDamaged     = 5
	statusInterrupted = 130
)

// exitHelp is part of the help of every command that can end in many ways.
const exitHelp = `Exit status: 0 done · 1 failed · 2 wrong usage · 3 not found, expired or revoked
  4 fewer than needed answered, nothing lost · 5 damaged or forged · 130 interrupted`

// usageError is a command line that cannot be carried out.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

func misuse(hint, format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...), hint}
}

// hintedError is an error and what to do about it.
type hintedError struct {
	error
	hint string
}

func (e *hintedError) Unwrap() error { return e.error }

func withHint(err error, format string, args ...any) error {
	return &hintedError{err, fmt.Sprintf(format, args...)}
}

// kinds maps what can go wrong to exit statuses and to what can be done. The
// first match counts.
var kinds = []struct {
	is     error
	status int
	hint   string
}{
	{errInterrupted, statusInterrupted, ""},
	{client.ErrExpired, statusNotFound, "ask whoever gave you the link for a new one"},
	{client.ErrRevoked, statusNotFound, "ask whoever gave you the link for a new one"},
	{client.ErrNotFound, statusNotFound, "is this the right network? \"--network\" and \"--bootstrap\" say which one is asked, \"cairn network\" shows it"},
	{client.ErrNetworkFull, statusTooFew, "nothing was stored. \"cairn network\" shows the free space; more of it comes with more donors"},
	{client.ErrNoTakers, statusTooFew, "nothing was stored. Nodes that are away come back: try again later, or donate space yourself by \"cairn node --donate 10GB\""},
	{client.ErrNoPeers, statusTooFew, "no network without a peer: enter one by \"cairn join TEXT\" or \"--bootstrap ADDRESS\", or start the first node by \"cairn node --donate 10GB\""},
	{client.ErrTooFew, statusTooFew, "nothing is lost: holders that are away come back. Try again later, or look with \"cairn health\""},
	{client.ErrDamaged, statusDamaged, "no false byte was written. Holders lie or their disks fail: \"cairn health LINK\" names them"},
	{client.ErrInUse, statusFailed, "wait for the other process to end, or use another home: \"--home DIR\""},
	{client.ErrNoJournal, statusFailed, "restore it from a backup; \"cairn put\" begins a new one, which knows nothing of what was put before"},
	{client.ErrSourceChanged, statusFailed, changedHint},
}

// hintNetwork adds how to ask the other network, if an error says that something lies
// in another.
func hintNetwork(err error) error {
	var other *client.OtherNetworkError
	if !errors.As(err, &other) {
		return err
	}
	return withHint(err, "\"--network %s\" asks that one; where none of its peers is known here, name one by \"--bootstrap ADDRESS\"", other.Network)
}

// statusOf returns the exit status that an error ends the program with.
func statusOf(err error) int {
	var usage *usageError
	if errors.As(err, &usage) {
		return statusUsage
	}
	for _, k := range kinds {
		if errors.Is(err, k.is) {
			return k.status
		}
	}
	return statusFailed
}

// hintsOf returns what to do about an error, the nearest cause first.
func hintsOf(err error) []string {
	hints := []string{} // in JSON a list, empty or not
	var usage *usageError
	if errors.As(err, &usage) && usage.hint != "" {
		hints = append(hints, usage.hint)
	}
	var own *hintedError
	if errors.As(err, &own) {
		return append(hints, own.hint)
	}
	for _, k := range kinds {
		if errors.Is(err, k.is) && k.hint != "" {
			return append(hints, k.hint)
		}
	}
	if errors.Is(err, fs.ErrPermission) {
		hints = append(hints, "this user may not do that there: choose another place, or ask whoever owns it")
	}
	return hints
}

// secretText finds whatever may be a link in a text: by its beginning or, if that is
// missing, by its length, which no name of a peer or segment has.
var secretText = regexp.MustCompile(`(?i)(cairn:|https?://[^\s"#]*#)[A-Za-z0-9_\-+/=%]{8,}|[A-Za-z0-9_\-]{70,}`)

// redact takes links out of a text for people or for a log: a mistyped command
// may have one where nobody expects it.
func redact(text string) string {
	return secretText.ReplaceAllString(text, "${1}…")
}

// oneLine makes text from a hostile peer or file safe to show on a terminal.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return ' '
		}
		if unprintable(r) {
			return -1
		}
		return r
	}, text)
}

// asksJSON reports whether a command line or the environment asks for --json, even
// if the command line is wrong otherwise.
func asksJSON(args []string) bool {
	asks, _ := strconv.ParseBool(os.Getenv(envPrefix + "JSON"))
	for _, arg := range args {
		switch value, set := strings.CutPrefix(arg, "--json="); {
		case arg == "--":
			return asks
		case arg == "--json":
			asks = true
		case set:
			asks, _ = strconv.ParseBool(value)
		}
	}
	return asks
}

// complain says what went wrong: one line, then a line for each hint.
func (a *app) complain(err error) {
	text := oneLine(redact(err.Error()))
	if a.flags.json {
		a.event(errorEvent{"error", text, hintsOf(err), statusOf(err)})
		return
	}
	a.say("%s: %s", a.red("cairn"), text)
	for _, h := range hintsOf(err) {
		a.say("%s: %s", a.bold("hint"), h)
	}
}

// errorEvent is the last event of a command that failed.
type errorEvent struct {
	Event  string   `json:"event"`
	Error  string   `json:"error"`
	Hints  []string `json:"hints"`
	Status int      `json:"status"`
}

// linkError says what is wrong with a link, without showing any of it.
func linkError(err error) error {
	if errors.Is(err, protocol.ErrVersion) {
		return misuse("a newer cairn reads it: update, then try again", "the link is of a version that this cairn does not know")
	}
	return misuse("copy it again, whole: it begins with \"cairn:\" and has no spaces or line breaks", "%s", wireText(err))
}

// wireText returns the text of a refusal without the name of its code, which is for
// programs.
func wireText(err error) string {
	var no *protocol.Error
	if errors.As(err, &no) && no.Text != "" {
		return no.Text
	}
	return err.Error()
}
