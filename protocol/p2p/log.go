package p2p

import (
	"context"
	"log/slog"

	golog "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"
)

// libp2p and the DHT each log to standard error by themselves, and log as errors
// what is ordinary on a network of strangers: a peer that hangs up, a listener
// that is closed. Both have one log for the whole process, so libp2p logs to the
// first Host's. The DHT's can only be silenced.
func adoptLogs(l *slog.Logger) {
	gologshim.SetDefaultHandler(demoted{l.Handler()})
	golog.SetAllLoggers(golog.LevelFatal)
}

// demoted passes on warnings and errors, at debug level.
type demoted struct{ slog.Handler }

// Enabled implements slog.Handler.
func (d demoted) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && d.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (d demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d demoted) WithAttrs(at []slog.Attr) slog.Handler { return demoted{d.Handler.WithAttrs(at)} }

// WithGroup implements slog.Handler.
func (d demoted) WithGroup(name string) slog.Handler { return demoted{d.Handler.WithGroup(name)} }
