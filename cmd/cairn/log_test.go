package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// A log in JSON is for programs: its times are those of RFC 3339, and names are
// as people write them.
func TestLogForPrograms(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{ReplaceAttr: redactAttr}))
	group := protocol.GroupPrefix{1, 2}
	log.Info("a word", "group", group)
	var line struct {
		Time  time.Time
		Group string
	}
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	if age := time.Since(line.Time); age < 0 || age > time.Minute || line.Group != group.String() {
		t.Errorf("%s", out.Bytes())
	}
}
