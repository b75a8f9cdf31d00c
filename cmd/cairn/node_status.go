package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/node/control"
)

func nodeStatusCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "how the node that runs on this home is",
		Long:    "status asks the node that runs on this home for its space, shards, traffic and\nwhether others can dial it.\n\nExit status: 0 it runs · 1 it does not · 2 wrong usage",
		Example: "  cairn node status --json",
		Args:    takes(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			h, err := a.openHome()
			if err != nil {
				return err
			}
			var st nodeStatus
			if err := askNode(cmd.Context(), h, verbStatus, &st); err != nil {
				return err
			}
			if a.flags.json {
				return a.result(st)
			}
			return a.printStatus(st)
		},
	}
}

// askNode hands a verb to the node that runs on a home.
func askNode(ctx context.Context, h home, verb string, result any) error {
	return askNodeWith(ctx, h, verb, nil, result)
}

// askNodeWith is askNode for a verb with arguments.
func askNodeWith(ctx context.Context, h home, verb string, args, result any) error {
	err := control.Call(ctx, h.node(socketFile), verb, args, result)
	if errors.Is(err, control.ErrNotRunning) {
		return withHint(fmt.Errorf("no node runs on home %s", h.dir), "start one: \"cairn node --donate 200GB\"; or name another home: \"--home DIR\"")
	}
	return err
}

func (a *app) printStatus(st nodeStatus) error {
	text := sprintln("node %s of network %q, up %s", st.Peer, st.Network, span(time.Duration(st.Uptime*float64(time.Second))))
	for _, addr := range st.Addrs {
		text += sprintln("  %s", addr)
	}
	text += sprintln("space      %s given, %s used, %s free", bytesText(st.Donated), bytesText(st.Used), bytesText(st.Free))
	for _, s := range st.Stores {
		text += sprintln("  %-9s %s of %s in %s", s.State, bytesText(s.Used), bytesText(s.Quota), s.Dir)
		if s.State != node.StoreOK {
			text += sprintln("            %s", s.Why)
		}
	}
	text += sprintln("keeps      %d shards of %d groups, announces %d", st.Shards, st.Groups, st.Announced)
	if st.Frozen+st.Expired > 0 {
		text += sprintln("           of %s the owner was long not heard of", count(st.Frozen+st.Expired, "group"))
	}
	text += sprintln("health     %s", statesText(st.Groups, "group", st.Health.Groups))
	text += sprintln("read over  %s", scrubText(st.Scrub))
	text += sprintln("traffic    %s received in %d puts, %s sent in %d gets, %d requests refused",
		bytesText(st.Traffic.Received), st.Traffic.Puts, bytesText(st.Traffic.Sent), st.Traffic.Gets, st.Traffic.Refused)
	text += contractText(st)
	text += sprintln("peers      %d known, %d of them give disk", st.Peers, st.Donors)
	if st.Carried > 0 {
		text += sprintln("relayed    %s for nodes behind NATs", bytesText(st.Carried))
	}
	text += reachText(st)
	return a.print("%s", text)
}

// scrubText says how far the scrub of the disk is.
func scrubText(s node.ScrubStatus) string {
	text := "not yet; it begins some minutes after the start"
	switch {
	case s.Begun != "":
		text = fmt.Sprintf("since %s: %d shards, %s so far", s.Begun, s.Shards, bytesText(s.Bytes))
	case s.Finished != "":
		text = fmt.Sprintf("last at %s: %d shards, %s", s.Finished, s.Shards, bytesText(s.Bytes))
	}
	if s.Damaged > 0 {
		text += fmt.Sprintf("; damaged on disk and not mended yet: %s", count(s.Damaged, "shard"))
	}
	return text
}

func sprintln(format string, args ...any) string { return fmt.Sprintf(format, args...) + "\n" }
