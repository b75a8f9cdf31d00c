package main

import (
	"context"
	"strings"
)

// readyEvent says that the node serves: the last line that it prints at its start.
type readyEvent struct {
	Event   string   `json:"event"` // "ready"
	Peer    string   `json:"peer"`
	Addrs   []string `json:"addrs"` // each ends in /p2p/ID and serves as --bootstrap
	Network string   `json:"network"`
	Donated int64    `json:"donated"`           // bytes
	Join    string   `json:"join"`              // an invitation to this network; empty: no address yet
	Alone   bool     `json:"alone"`             // nobody answered yet
	Port    int      `json:"port,omitempty"`    // taken instead of the usual one
	Metrics string   `json:"metrics,omitempty"` // URL of the metrics, where they are served
}

// introduce says in plain words what runs here, then that it is ready.
func (a *app) introduce(ctx context.Context, s *nodeStart) error {
	alone := !waitPeer(ctx, s.host, settleTime)
	st := s.node.Status()
	ready := readyEvent{
		Event: "ready", Peer: s.host.Self().String(), Addrs: s.addrs(), Network: a.flags.network,
		Donated: total(s.gifts), Alone: alone, Port: s.moved,
	}
	if s.metrics != nil {
		ready.Metrics = s.metrics.url
	}
	if inv, err := a.nodeInvitation(s); err == nil {
		ready.Join = inv.Text
	}
	if a.flags.json {
		return a.result(ready)
	}
	if !a.flags.quiet {
		if err := a.print("%s", introduction(ready, st, s)); err != nil {
			return err
		}
	}
	return a.print("ready\n")
}

func introduction(r readyEvent, st nodeStatus, s *nodeStart) string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(sprintln(format, args...)) }
	line("node %s of network %q", r.Peer, r.Network)
	for _, addr := range r.Addrs {
		line("  %s", addr)
	}
	if r.Port != 0 {
		line("listens at port %d, because %d was taken; it stays at it", r.Port, defaultPort)
	}
	if r.Metrics != "" {
		line("metrics at %s", r.Metrics)
	}
	for _, g := range s.gifts {
		line("gives %s in %s", bytesText(g.Bytes), g.Dir)
	}
	line("what is stored here is ciphertext: nobody can read it on this machine, you included.")
	line("it uses that much disk and no more, and your line when somebody stores or fetches.")
	b.WriteString(termsText(st.Contract, r.Donated))
	line("holidays: \"cairn node away 14d\"; to leave: \"cairn node drain\", then stop it.")
	line("to come back, start it again. %s is its identity: back it up.", s.key)
	b.WriteString(reachText(st))
	if r.Alone {
		line("alone: a network of one. Others enter by")
		line("  cairn join %s", r.Join)
	}
	return b.String()
}
