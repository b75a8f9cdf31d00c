package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/control"
)

// drainEvery is how often the node is asked how far its drain is.
const drainEvery = time.Second

// stanceResult is what away, pause and resume print. Times are RFC 3339 in UTC;
// empty: not away, or not paused.
type stanceResult struct {
	AwayUntil   string `json:"awayUntil"`
	PausedUntil string `json:"pausedUntil"`
}

// drainEvent is a progress line of drain --json.
type drainEvent struct {
	Event     string `json:"event"` // "progress"
	Slots     int    `json:"slots"`
	SlotsLeft int    `json:"slotsLeft"`
	Bytes     int64  `json:"bytes"`
	BytesLeft int64  `json:"bytesLeft"`
	Why       string `json:"why"` // what holds it up; empty: nothing
}

func nodeAwayCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "away TIME",
		Short: "say that you will be away for a while",
		Long: `away tells the nodes that share groups with yours that it may be off until then:
they wait longer before they take it for gone and make its shards anew. TIME is
in hours, days or weeks, at most 30 days in any 180; 0 ends it. No new groups come
meanwhile. While the node runs it serves as ever; once it is off, what it keeps
counts for nothing until it is back.

Exit status: 0 done · 1 failed · 2 wrong usage`,
		Example: "  cairn node away 14d\n  cairn node away 0",
		Args:    takes(1, 1, "one TIME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			long, err := parseSpan(args[0])
			if err != nil {
				return misuse("for instance: cairn node away 14d, or 0 when you are back", "away: %v", err)
			}
			return a.changeStance(cmd.Context(), verbAway, int64(long/time.Second))
		},
	}
}

func nodePauseCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "pause",
		Short: "give your line a rest, for a week at most",
		Long: `pause has the node give and take no shards until "cairn node resume", at most for
7 days. It answers audits and greets its neighbours, which is next to nothing, so
that nobody takes it for gone (7 days in 180: no more are excused). But what it
keeps counts for nothing meanwhile: files can become unreadable, and others may
have to repair them. For a line that is needed by day, --hours does better.

Exit status: 0 done · 1 failed · 2 wrong usage`,
		Example: "  cairn node pause",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.changeStance(cmd.Context(), verbPause, 0)
		},
	}
}

func nodeResumeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "resume",
		Short:   "end a pause",
		Long:    "resume ends a pause: the node gives and takes shards again.\n\nExit status: 0 done · 1 failed · 2 wrong usage",
		Example: "  cairn node resume",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.changeStance(cmd.Context(), verbResume, 0)
		},
	}
}

// changeStance hands a verb to the node and says what it means.
func (a *app) changeStance(ctx context.Context, verb string, args any) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	var r stanceResult
	if err := askNodeWith(ctx, h, verb, args, &r); err != nil {
		return err
	}
	if a.flags.json {
		return a.result(r)
	}
	return a.print("%s", stanceText(verb, r))
}

func stanceText(verb string, r stanceResult) string {
	switch {
	case verb == verbAway && r.AwayUntil == "":
		return sprintln("not away: the node takes new groups again")
	case verb == verbAway:
		return sprintln("away until %s: you can switch the node off until then", r.AwayUntil) +
			sprintln("it tells its neighbours as it meets them: leave it on for a day first, if you can")
	case verb == verbPause:
		return sprintln("paused until %s: no shards in or out; audits are answered", r.PausedUntil) +
			sprintln("what it keeps counts for nothing until then; \"cairn node resume\" ends it")
	}
	return sprintln("the node gives and takes shards again")
}

func nodeDrainCommand(a *app) *cobra.Command {
	var cancel bool
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "leave without harm: successors first",
		Long: `drain has other nodes take over all that this one keeps, and says when it can go.
From then on it takes nothing new, over restarts, too. The command waits and shows
how far it is; interrupted, the node goes on, and "cairn node drain" shows it again.
--cancel takes it back: what has no successor yet stays.

Exit status: 0 nothing is left, the node can go · 1 nobody takes over what is left
  2 wrong usage
  130 interrupted`,
		Example: "  cairn node drain\n  cairn node drain --cancel",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.openHome()
			if err != nil {
				return err
			}
			if cancel {
				return a.cancelDrain(cmd.Context(), h)
			}
			return a.drain(cmd.Context(), h)
		},
	}
	cmd.Flags().BoolVar(&cancel, "cancel", false, "stay after all")
	return cmd
}

func (a *app) cancelDrain(ctx context.Context, h home) error {
	var p node.DrainProgress
	if err := askNode(ctx, h, verbStopDrain, &p); err != nil {
		return err
	}
	if a.flags.json {
		return a.result(p)
	}
	return a.print("the node stays, and takes new groups again\n")
}

// drain begins a drain and shows how it goes, until nothing is left or nothing more
// can be handed over.
func (a *app) drain(ctx context.Context, h home) error {
	m := a.drainMeter()
	p, err := a.followDrain(ctx, h, m)
	m.close()
	if err != nil {
		return err
	}
	if a.flags.json {
		if err := a.result(p); err != nil {
			return err
		}
	}
	if !p.Done {
		return withHint(fmt.Errorf("drain: %s and %s are still here: %s", count(p.SlotsLeft, "slot"), bytesText(p.BytesLeft), p.Why),
			"leave the node running: it serves what it keeps, and hands it over as soon as others can take it; \"cairn node drain --cancel\" takes that back")
	}
	if a.flags.json {
		return nil
	}
	return a.print("nothing is left here: stop the node, and delete its folders if you like\n")
}

func (a *app) followDrain(ctx context.Context, h home, m *drainMeter) (p node.DrainProgress, err error) {
	for verb := verbDrain; ; verb = verbProgress {
		if err := askNode(ctx, h, verb, &p); err != nil {
			return p, err
		}
		if p.Since == "" {
			return p, errors.New("drain: somebody else has taken it back")
		}
		m.show(p)
		if p.Done || p.MustStay {
			return p, nil
		}
		select {
		case <-time.After(drainEvery):
		case <-ctx.Done():
			return p, withHint(context.Cause(ctx), "the node goes on draining; \"cairn node drain\" shows it again, \"cairn node drain --cancel\" ends it")
		}
	}
}

// drainMeter shows how far a drain is.
type drainMeter struct {
	show  func(node.DrainProgress)
	close func()
}

func (a *app) drainMeter() *drainMeter {
	due := every(lineEvery)
	switch {
	case a.flags.quiet:
		return &drainMeter{func(node.DrainProgress) {}, func() {}}
	case a.flags.json:
		return &drainMeter{func(p node.DrainProgress) {
			if due() {
				a.event(drainEvent{"progress", p.Slots, p.SlotsLeft, p.Bytes, p.BytesLeft, p.Why})
			}
		}, func() {}}
	case a.terminal:
		last := make(chan node.DrainProgress, 1) // what the drawing goroutine reads
		last <- node.DrainProgress{}
		b := a.newBar("drain", func() string {
			p := <-last
			last <- p
			return " · " + drainText(p)
		})
		return &drainMeter{func(p node.DrainProgress) {
			<-last
			last <- p
			b.set(p.Bytes-p.BytesLeft, p.Bytes)
		}, b.close}
	}
	return &drainMeter{func(p node.DrainProgress) {
		if due() {
			a.say("drain: %s handed over, %s", share(p.Bytes-p.BytesLeft, p.Bytes), drainText(p))
		}
	}, func() {}}
}

func drainText(p node.DrainProgress) string {
	text := fmt.Sprintf("%d of %d slots left", p.SlotsLeft, p.Slots)
	if p.Done {
		text = "nothing is left here: the node can go"
	}
	if p.Why != "" {
		text += ": " + p.Why
	}
	return text
}

// stanceVerbs are the control socket's verbs with which a donor goes away, pauses,
// drains and comes back.
func stanceVerbs(n *node.Node) map[string]control.Handler {
	stance := func() stanceResult {
		c := n.Status().Contract
		return stanceResult{c.AwayUntil, c.PausedUntil}
	}
	return map[string]control.Handler{
		verbAway: func(_ context.Context, args json.RawMessage) (any, error) {
			var seconds int64
			if err := json.Unmarshal(args, &seconds); err != nil || seconds < 0 || seconds > 1e9 {
				return nil, errors.New("a number of seconds is wanted")
			}
			_, err := n.Away(time.Duration(seconds) * time.Second)
			return stance(), awayError(err)
		},
		verbPause: func(context.Context, json.RawMessage) (any, error) {
			_, err := n.Pause()
			return stance(), err
		},
		verbResume: func(context.Context, json.RawMessage) (any, error) { err := n.Resume(); return stance(), err },
		verbDrain:  func(context.Context, json.RawMessage) (any, error) { err := n.Drain(); return n.DrainProgress(), err },
		verbStopDrain: func(context.Context, json.RawMessage) (any, error) {
			err := n.StopDrain()
			return n.DrainProgress(), err
		},
		verbProgress: func(context.Context, json.RawMessage) (any, error) { return n.DrainProgress(), nil },
	}
}

// awayError says how long the node can still be away.
func awayError(err error) error {
	var long *contract.TooLongAwayError
	if !errors.As(err, &long) {
		return err
	}
	left := fmt.Sprintf("%d days", long.Left/(24*time.Hour))
	if long.Left < 48*time.Hour {
		left = span(long.Left)
	}
	return fmt.Errorf("at most 30 days of any 180, and %s are left; who is away for longer drains the node", left)
}
