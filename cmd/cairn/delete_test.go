package main

import (
	"strings"
	"testing"
)

// Only a clear yes deletes.
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
