package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

func healthCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "health LINK",
		Short: "who holds a file now, each asked to prove it",
		Long: `health asks every holder of a file for a random leaf of what it should keep: what
it shows is proved now, to you. Beside it stands how many members say that it is
the holder: their word, which counts for nothing.
` + linkHelp + `

Exit status: 0 it can be read · 3 not found, expired or revoked
  4 fewer than needed answered, nothing lost · 5 damaged or forged`,
		Example: "  cairn health holiday.link",
		Args:    takes(1, 1, "one LINK"),
		RunE:    func(cmd *cobra.Command, args []string) error { return a.health(cmd.Context(), args[0]) },
	}
}

// healthResult is the result of health --json.
type healthResult struct {
	Name        string         `json:"name"` // empty: the manifest cannot be read now
	Size        int64          `json:"size"` // bytes; -1: the same
	K           int            `json:"k"`
	R           int            `json:"r"`
	N           int            `json:"n"`
	Reachable   int            `json:"reachable"` // slots of the lowest segment, proved now
	Needed      int            `json:"needed"`
	Domains     int            `json:"domains"`
	AfterWorst5 int            `json:"afterWorst5"` // slots left when the 5 worst domains leave
	Segments    int            `json:"segments"`
	Checked     int            `json:"checked"` // of them
	Safe        bool           `json:"safe"`    // readable, and still so when two more are lost
	Problem     string         `json:"problem"` // why it cannot be read; empty: it can
	Holders     []healthHolder `json:"holders"`
}

type healthHolder struct {
	Group  string `json:"group"`
	Slot   int    `json:"slot"`
	Peer   string `json:"peer"` // empty: vacant
	Proved bool   `json:"proved"`
	Domain string `json:"domain"`
	Error  string `json:"error"`
	// Reported is how many members name Peer as the slot's holder.
	Reported int `json:"reported"`
}

func (a *app) health(ctx context.Context, arg string) error {
	link, err := a.readLink(ctx, arg)
	if err != nil {
		return err
	}
	s, err := a.openFor(ctx, link)
	if err != nil {
		return err
	}
	h, err := s.client.Health(ctx, link)
	if err != nil {
		return fmt.Errorf("health: %w", err)
	}
	if a.flags.json {
		err = a.result(healthResultOf(h))
	} else {
		err = a.printHealth(h)
	}
	return errors.Join(err, healthVerdict(h))
}

// healthVerdict returns the error for a file that cannot be read, which sets the exit
// status.
func healthVerdict(h *client.Health) error {
	switch {
	case !h.Lost():
		return nil
	case h.Problem != nil:
		return fmt.Errorf("health: %w", h.Problem)
	}
	return fmt.Errorf("health: %d of %d shards proved, %d needed: %w", h.Reachable, h.Profile.N, h.Needed, client.ErrTooFew)
}

func healthResultOf(h *client.Health) healthResult {
	p := h.Profile
	r := healthResult{
		Name: h.Name, Size: h.Size, K: p.K, R: p.R, N: p.N, Reachable: h.Reachable, Needed: h.Needed,
		Domains: h.Domains, AfterWorst5: h.AfterWorst5, Segments: h.Segments, Checked: h.Checked,
		Safe:    !h.Lost() && !group.NotSafe(protocol.Profile{K: h.Needed, N: h.Reachable}),
		Holders: []healthHolder{},
	}
	if h.Problem != nil {
		r.Problem = redact(h.Problem.Error())
	}
	for _, o := range h.Holders {
		row := healthHolder{Group: o.Group.Prefix().String(), Slot: o.Slot, Proved: o.Proved, Domain: o.Domain, Reported: o.Reported}
		if o.Peer != "" {
			row.Peer = o.Peer.String()
		}
		if o.Err != nil {
			row.Error = redact(o.Err.Error())
		}
		r.Holders = append(r.Holders, row)
	}
	return r
}

func (a *app) printHealth(h *client.Health) error {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "GROUP\tSLOT\tHOLDER\tDOMAIN\tREPORTED BY\tPROVED NOW")
	for _, o := range h.Holders {
		proof := "yes"
		if !o.Proved {
			proof = "no"
			if o.Err != nil {
				proof += ": " + oneLine(redact(proofText(o.Err)))
			}
		}
		_, _ = fmt.Fprintf(w, "%.8s\t%d\t%s\t%s\t%d\t%s\n", o.Group, o.Slot, holderText(o), o.Domain, o.Reported, proof)
	}
	_ = w.Flush() // into memory
	b.WriteString(healthText(h))
	return a.print("%s", b.String())
}

// proofText says why a holder proved nothing, without what its row says already.
func proofText(err error) string {
	text := err.Error()
	if i := strings.Index(text, protocol.ErrUnreachable.Error()); i >= 0 && errors.Is(err, protocol.ErrUnreachable) {
		return text[i:]
	}
	var no *protocol.Error
	if errors.As(err, &no) {
		return no.Error()
	}
	return text
}

func holderText(o client.HolderHealth) string {
	if o.Peer == "" {
		return "vacant"
	}
	return protocol.ShortPeer(o.Peer)
}

func healthText(h *client.Health) string {
	name := "the file"
	if h.Name != "" {
		name = fmt.Sprintf("%q", h.Name)
	}
	if h.Lost() {
		return sprintln("%s cannot be read now: %d of %d shards proved, %d needed", name, h.Reachable, h.Profile.N, h.Needed)
	}
	text := sprintln("%s: %d of %d shards proved now, %d needed, in %s; if the 5 worst leave, %d are left",
		name, h.Reachable, h.Profile.N, h.Needed, count(h.Domains, "failure domain"), h.AfterWorst5)
	if h.Checked < h.Segments {
		text += sprintln("checked %d of its %d segments, drawn at random", h.Checked, h.Segments)
	}
	if group.NotSafe(h.Profile) {
		text += sprintln("not safe yet: %s", notSafeText(h.Profile))
	}
	return text
}
