package p2p

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestDemoted: what libp2p calls an error is a detail here.
func TestDemoted(t *testing.T) {
	for level, want := range map[slog.Level]bool{slog.LevelDebug: true, slog.LevelInfo: false, slog.LevelError: false} {
		var out bytes.Buffer
		l := slog.New(demoted{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: level})}).With("logger", "swarm2")
		l.Error("a peer hung up")
		l.Info("a peer came")
		got := out.String()
		if strings.Contains(got, "level=DEBUG msg=\"a peer hung up\" logger=swarm2") != want || strings.Contains(got, "came") {
			t.Errorf("at level %s: %q", level, got)
		}
	}
}
