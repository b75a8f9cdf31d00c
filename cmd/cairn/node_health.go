package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/node/control"
	"github.com/cairnstore/cairn/protocol"
)

func nodeHealthCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "health [GROUP]",
		Short: "how safe is what this node keeps with others",
		Long: `health shows each group that the node shares with others, as this node itself has
seen it: how many slots it audited lately (PROVED), how many of them answer, in how
many failure domains, and how many would be left if the five domains that hold most
of them left. Its numbers are of the segment with the fewest shards. With GROUP, the
beginning of a group's name, it lists the holders, and beside them what they say of
themselves, which counts against them alone.

Exit status: 0 every group can be read · 1 failed · 2 wrong usage
  3 no such group · 4 of some group fewer holders answer than are needed`,
		Example: "  cairn node health\n  cairn node health 5f1c",
		Args:    takes(0, 1, "a GROUP"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.nodeHealth(cmd.Context(), strings.ToLower(strings.Join(args, "")))
		},
	}
}

// nodeHealthResult is the result of node health --json.
type nodeHealthResult struct {
	CutOff bool               `json:"cutOff"`
	States node.States        `json:"states"` // of the groups
	Groups []node.GroupHealth `json:"groups"`
}

func (a *app) nodeHealth(ctx context.Context, prefix string) error {
	if strings.Trim(prefix, "0123456789abcdef") != "" {
		return misuse("\"cairn node health\" shows the groups", "health: %q is no beginning of a group's name", prefix)
	}
	h, err := a.openHome()
	if err != nil {
		return err
	}
	r, err := askHealth(ctx, h, prefix)
	if err != nil {
		return err
	}
	if prefix != "" && len(r.Groups) == 0 {
		return withHint(fmt.Errorf("health: a group that begins with %q: %w", prefix, client.ErrNotFound), "\"cairn node health\" shows the groups of this node")
	}
	if a.flags.json {
		err = a.result(r)
	} else {
		err = a.print("%s", nodeHealthText(r, prefix != ""))
	}
	return errors.Join(err, nodeHealthVerdict(r))
}

// askHealth asks the node page by page.
func askHealth(ctx context.Context, h home, prefix string) (*nodeHealthResult, error) {
	r := &nodeHealthResult{Groups: []node.GroupHealth{}}
	q := node.HealthQuery{Prefix: prefix, Holders: prefix != ""}
	for {
		var page node.GroupsHealth
		if err := askNodeWith(ctx, h, verbHealth, q, &page); err != nil {
			return nil, err
		}
		r.CutOff = r.CutOff || page.CutOff
		r.Groups = append(r.Groups, page.Groups...)
		if page.More == "" {
			break
		}
		q.After = page.More
	}
	for _, g := range r.Groups {
		r.States.AddGroup(g.States)
	}
	return r, nil
}

// nodeHealthVerdict returns the error for a node with groups that cannot be read,
// which sets the exit status.
func nodeHealthVerdict(r *nodeHealthResult) error {
	unreadable := 0
	for _, g := range r.Groups {
		if !g.Readable {
			unreadable++
		}
	}
	if unreadable == 0 {
		return nil
	}
	return withHint(fmt.Errorf("health: of %s fewer holders answer than are needed: %w", count(unreadable, "group"), client.ErrTooFew),
		"holders that come back make it readable again; until then this node keeps its shards, and repairs what it can")
}

func nodeHealthText(r *nodeHealthResult, holders bool) string {
	var b strings.Builder
	groups := slices.Clone(r.Groups)
	slices.SortStableFunc(groups, func(a, b node.GroupHealth) int { return badness(&b) - badness(&a) })
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	if len(groups) > 0 {
		_, _ = fmt.Fprintln(w, "GROUP\tPROFILE\tSEGMENTS\tSTATE\tPROVED\tUNCLEAR\tREACHABLE\tNEEDED\tDOMAINS\tIF THE 5 WORST LEAVE")
	}
	for _, g := range groups {
		_, _ = fmt.Fprintf(w, "%.8s\t%d/%d/%d\t%d\t%s\t%s\n", g.Group, g.K, g.R, g.N, g.Segments, stateText(&g), gaugeText(&g))
	}
	_ = w.Flush() // into memory
	if holders {
		for _, g := range groups {
			b.WriteString(holdersText(&g))
		}
	}
	b.WriteString(groupsText(r))
	return b.String()
}

// badness orders groups: those in danger first, and among equals those with fewer
// shards to lose.
func badness(g *node.GroupHealth) int {
	order := []string{node.StateEmpty, node.StateWell, node.StateUnclear, node.StateInconsistent, node.StateLazy, node.StateUrgent, node.StateBeyond}
	return 1000*slices.Index(order, g.State) - (g.Proved + g.Unproved - g.Needed)
}

func stateText(g *node.GroupHealth) string {
	text := g.State
	if g.State == node.StateBeyond {
		text = "BEYOND REPAIR"
	}
	if !g.Readable && g.State != node.StateBeyond {
		text += ", UNREADABLE NOW"
	}
	if g.States.Thin > 0 {
		text += ", thin"
	}
	if g.Lease != "alive" {
		text += ", " + g.Lease
	}
	return text
}

// gaugeText gives the numbers of the lowest segment; a group without segments has
// none.
func gaugeText(g *node.GroupHealth) string {
	if g.Segments == 0 {
		return "-\t-\t-\t-\t-\t-"
	}
	return fmt.Sprintf("%d\t%d\t%d\t%d\t%d\t%d", g.Proved, g.Unproved, g.Reachable, g.Needed, g.Domains, g.AfterWorst5)
}

func holdersText(g *node.GroupHealth) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "\nSLOT\tHOLDER\tDOMAIN\tSTATE\tPROVED\tFAILED\tSAYS OF ITSELF\n")
	for _, o := range g.Holders {
		if o.Peer == "" {
			_, _ = fmt.Fprintf(w, "%d\tvacant\n", o.Slot)
			continue
		}
		proved := "yes"
		switch {
		case o.Self:
			proved = "this node"
		case !o.Proved:
			proved = "not lately"
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\n", o.Slot, shortID(o.Peer), o.Domain, o.State, proved, o.Failed, saysText(&o))
	}
	_ = w.Flush() // into memory
	return b.String()
}

// shortID names a peer as logs and tables do.
func shortID(text string) string {
	if id, err := peer.Decode(text); err == nil {
		return protocol.ShortPeer(id)
	}
	return text
}

func saysText(o *node.SlotHolder) string {
	var says []string
	if o.Lacks > 0 {
		says = append(says, "lacks "+count(o.Lacks, "segment"))
	}
	if o.Draining {
		says = append(says, "leaving")
	}
	return strings.Join(says, ", ")
}

// groupsText sums up the groups, the worst first.
func groupsText(r *nodeHealthResult) string {
	text := sprintln("%s", statesText(len(r.Groups), "group", r.States))
	if r.CutOff {
		text += sprintln("most neighbours do not answer: this node may be the one that is cut off, and repairs nothing till it knows")
	}
	return text
}

// statesText says how many of n things are in which state, the worst first.
func statesText(n int, thing string, s node.States) string {
	parts := []string{count(n, thing)}
	for _, p := range []struct {
		n    int
		text string
	}{
		{s.Beyond, "beyond repair"}, {s.Urgent, "urgent"}, {s.Lazy, "to be repaired"},
		{s.Thin, "of these thin: nobody is known who would take what is missing"},
		{s.Inconsistent, "inconsistent: what the owner put contradicts itself"},
		{s.Unclear, "unclear: too few holders are audited yet"}, {s.Well, "well"},
	} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.text))
		}
	}
	return strings.Join(parts, "; ")
}

// healthVerb handles the control socket's verb that asks for the groups' health.
func healthVerb(n *node.Node) control.Handler {
	return func(ctx context.Context, args json.RawMessage) (any, error) {
		var q node.HealthQuery
		if len(args) > 0 {
			if err := json.Unmarshal(args, &q); err != nil {
				return nil, errors.New("a query is wanted")
			}
		}
		return n.GroupsHealth(ctx, q)
	}
}
