package main

import (
	"io"
	"io/fs"
	"strings"
	"testing"
)

// Only a clear yes confirms a deletion.
func TestSaysYes(t *testing.T) {
	for answer, want := range map[string]bool{
		"y\n": true, "yes\n": true, " YES \n": true, "y": true,
		"": false, "\n": false, "n\n": false, "no\n": false, "yesterday\n": false, strings.Repeat(" ", 100) + "y\n": false,
	} {
		if saysYes(strings.NewReader(answer)) != want {
			t.Errorf("%q: not %v", answer, want)
		}
	}
}

// The person at the terminal is asked, also where standard input brought the link;
// where there is no terminal, or the result is for a program, the answer counts as yes.
func TestConfirmAtTerminal(t *testing.T) {
	for _, c := range []struct {
		name     string
		terminal bool // standard error
		spent    bool
		json     bool
		answer   string // at the keyboard; empty: there is none
		want     bool
		asked    bool
	}{
		{"no terminal", false, true, false, "n\n", true, false},
		{"a script's input", true, false, false, "n\n", true, false},
		{"link by standard input, no", true, true, false, "n\n", false, true},
		{"link by standard input, yes", true, true, false, "y\n", true, true},
		{"link by standard input, nobody there", true, true, false, "", true, false},
		{"for a program", true, true, true, "n\n", true, false},
	} {
		var errs strings.Builder
		a := newApp(strings.NewReader("y\n"), io.Discard, &errs)
		a.terminal, a.flags.json = c.terminal, c.json
		a.keyboard = func() (io.ReadCloser, error) {
			if c.answer == "" {
				return nil, fs.ErrNotExist
			}
			return io.NopCloser(strings.NewReader(c.answer)), nil
		}
		if got := a.confirm(t.Context(), c.spent, "delete %q for good?", "a"); got != c.want || (errs.Len() > 0) != c.asked {
			t.Errorf("%s: %t, after %q", c.name, got, errs.String())
		}
	}
}
