package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/client"
)

// A put of a file that changes can be gone on with by nobody: who is refused hears
// what becomes of what is stored, if anything is, and how a file that always grows is
// put.
func TestPutOfWhatChanges(t *testing.T) {
	for _, begun := range []bool{false, true} {
		err := putError(fmt.Errorf("put: %w", client.ErrSourceChanged), begun)
		hints := strings.Join(hintsOf(err), " ")
		if !errors.Is(err, client.ErrSourceChanged) || statusOf(err) != statusFailed || !strings.Contains(hints, "cairn put - --name") {
			t.Errorf("begun %t: %v, %q", begun, err, hints)
		}
		if strings.Contains(hints, "cairn delete") != begun {
			t.Errorf("begun %t: %q", begun, hints)
		}
	}
}

// That a put has begun a new journal, which says nothing of that later, is told to
// programs, too.
func TestPutTellsOfALostJournal(t *testing.T) {
	h := home{t.TempDir()}
	o, err := client.OpenOwner(h.owner(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(o.Close(), os.Remove(h.owner(journalFile))); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []bool{true, false} {
		var out strings.Builder
		a := newApp(strings.NewReader(""), &out, io.Discard)
		a.flags.json = true
		if _, err := a.openJournal(h); err != nil {
			t.Fatal(err)
		}
		if err := a.showPut("a", new(client.PutResult)); err != nil {
			t.Fatal(err)
		}
		a.close()
		if strings.Contains(out.String(), journalFile) != lost {
			t.Errorf("lost %t: %s", lost, out.String())
		}
	}
}
