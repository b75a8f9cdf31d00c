package main

import (
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// defaultLogLevel is how much a command logs without --log-level. A node runs for
// months and nobody looks at it, so what is wrong with its disks must be logged.
func defaultLogLevel(cmd *cobra.Command) string {
	if cmd.CommandPath() == "cairn node" {
		return "warn"
	}
	return "none"
}

// startLog begins logging to standard error at the level asked for.
func (a *app) startLog() error {
	if a.flags.logLevel == "none" {
		return nil
	}
	var level slog.Level
	if err := level.UnmarshalText([]byte(strings.ToUpper(a.flags.logLevel))); err != nil {
		return misuse("the levels are none, error, warn, info and debug", "--log-level %q: no such level", a.flags.logLevel)
	}
	opt := &slog.HandlerOptions{Level: level, ReplaceAttr: redactAttr}
	if a.flags.json {
		a.log = slog.New(slog.NewJSONHandler(a.errs, opt))
	} else {
		a.log = slog.New(slog.NewTextHandler(a.errs, opt))
	}
	return nil
}

// redactAttr writes names as text, and is the last line of defence: it cuts whatever
// looks like a link in a log's text.
func redactAttr(_ []string, at slog.Attr) slog.Attr {
	switch v := at.Value.Any().(type) {
	case string:
		at.Value = slog.StringValue(redact(v))
	case time.Time: // each format has its own way to write it
	case error:
		at.Value = slog.StringValue(redact(v.Error()))
	case fmt.Stringer: // JSON would spell a group's ID as a list of numbers
		at.Value = slog.StringValue(redact(v.String()))
	}
	return at
}
