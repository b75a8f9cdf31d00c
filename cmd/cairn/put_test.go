package main

import (
	"errors"
	"fmt"
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
