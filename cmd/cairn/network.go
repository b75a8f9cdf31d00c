package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/node/control"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

func networkCommand(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "network",
		Short: "what this peer sees of the network",
		Long: `network asks every node that it finds what it gives. What it shows is what this
peer sees now; nobody sees all.

` + exitHelp,
		Example: "  cairn network\n  cairn network invite",
		Args:    knownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.network(cmd.Context()) },
	}
	cmd.AddCommand(inviteCommand(a))
	return cmd
}

func inviteCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "invite",
		Short: "print an invitation to this network",
		Long: `invite prints a text by which others enter this network: its name and the
addresses of up to four peers. It holds no secret.

` + exitHelp,
		Example: "  cairn network invite",
		Args:    takes(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.invite(cmd.Context()) },
	}
}

// networkResult is the result of network --json.
type networkResult struct {
	Network string       `json:"network"`
	Nodes   int          `json:"nodes"`
	Donated int64        `json:"donated"` // bytes
	Free    int64        `json:"free"`    // bytes that the nodes would give this peer
	Room    int64        `json:"room"`    // bytes of files that fit into them at most, at the profile of a put now
	Private bool         `json:"private"` // only private addresses were seen
	Domains int          `json:"domains"` // failure domains that take anybody's data
	Classes []classRow   `json:"classes"`
	List    []networkRow `json:"list"`
}

type classRow struct {
	Accepts string `json:"accepts"` // open, vouchers or nobody
	Nodes   int    `json:"nodes"`
	Donated int64  `json:"donated"`
	Free    int64  `json:"free"`
}

type networkRow struct {
	Peer    string `json:"peer"`
	Agent   string `json:"agent"`
	Donated int64  `json:"donated"`
	Free    int64  `json:"free"`
	Accepts string `json:"accepts"`
}

func (a *app) network(ctx context.Context) error {
	s, err := a.openReader(ctx)
	if err != nil {
		return err
	}
	v, err := s.client.NetworkView(ctx)
	if err != nil {
		return err
	}
	r := a.networkResultOf(v)
	if a.flags.json {
		return a.result(r)
	}
	text := sprintln("network %q: %s give %s, %s of it free for shards of yours", r.Network, count(r.Nodes, "node"), bytesText(r.Donated), bytesText(r.Free))
	for _, c := range r.Classes {
		text += sprintln("  %-9s %12s  %10s given  %10s free", acceptsText(c.Accepts), count(c.Nodes, "node"), bytesText(c.Donated), bytesText(c.Free))
	}
	p, ok := group.Ladder(r.Domains)
	room := "room for " + bytesText(r.Room) + " of files"
	switch {
	case !ok:
		text += sprintln("no node takes a stranger's data")
	case group.NotSafe(p):
		text += sprintln("a put now would get profile %s, with %s: not safe yet, %s", p, room, notSafeText(p))
	default:
		text += sprintln("a put now would get profile %s, with %s: any %d of %d nodes give a file back", p, room, p.K, p.N)
	}
	return a.print("%s", text)
}

func acceptsText(accepts string) string {
	switch protocol.Accepts(accepts) {
	case protocol.AcceptsOpen:
		return "for all"
	case protocol.AcceptsVouchers:
		return "vouched"
	}
	return "closed"
}

func (a *app) networkResultOf(v *client.View) networkResult {
	r := networkResult{
		Network: a.flags.network, Nodes: len(v.Nodes), Donated: v.Donated, Free: v.Free,
		Private: v.Private, Domains: v.Domains, Classes: []classRow{}, List: []networkRow{},
	}
	if p, ok := group.Ladder(v.Domains); ok {
		r.Room = roomFor(p, v.Nodes)
	}
	for accepts, c := range v.Accepts {
		r.Classes = append(r.Classes, classRow{string(accepts), c.Nodes, c.Donated, c.Free})
	}
	for _, n := range v.Nodes {
		r.List = append(r.List, networkRow{n.Peer.String(), n.Info.Agent, n.Info.Donated, n.Info.Free, string(n.Info.Accepts)})
	}
	slices.SortFunc(r.List, func(x, y networkRow) int { return strings.Compare(x.Peer, y.Peer) })
	slices.SortFunc(r.Classes, func(x, y classRow) int { return strings.Compare(x.Accepts, y.Accepts) })
	return r
}

// roomFor returns how many bytes of files the nodes that take anybody's data could
// hold at a profile: each segment's shards lie on n of them, so a node holds at most
// 1/k of what is stored, however much it has free. Nodes that share a failure domain
// make it less.
func roomFor(p protocol.Profile, nodes []client.NodeInfo) int64 {
	var free []int64
	for _, n := range nodes {
		if n.Info.Accepts == protocol.AcceptsOpen && !n.Info.Draining {
			free = append(free, n.Info.Free)
		}
	}
	slices.Sort(free)
	// Find t, the most that each slot can keep: nodes with less than t free give all
	// of it, the others t each, and together that must be n times t.
	var below int64
	for i, f := range free {
		if slots := int64(p.N - (len(free) - i)); slots > 0 && below/slots < f {
			return below / slots * int64(p.K)
		}
		below += f
	}
	return below / int64(p.N) * int64(p.K)
}

// inviteResult is the result of network invite --json, and the control verb's.
type inviteResult struct {
	Network string   `json:"network"`
	Text    string   `json:"text"`
	Addrs   []string `json:"addrs"`
}

// invite asks the node that runs on this home, else the peers that are known.
func (a *app) invite(ctx context.Context) error {
	h, err := a.openHome()
	if err != nil {
		return err
	}
	var inv inviteResult
	err = control.Call(ctx, h.node(socketFile), verbInvite, nil, &inv)
	if errors.Is(err, control.ErrNotRunning) {
		inv, err = a.inviteAsClient(ctx, h)
	}
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.result(inv)
	}
	return a.print("%s\n", inv.Text)
}

// inviteAsClient makes an invitation of addresses that nodes signed and of those that
// this client dialled itself.
func (a *app) inviteAsClient(ctx context.Context, h home) (inviteResult, error) {
	s, err := a.openSession(ctx, h, nil)
	if err != nil {
		return inviteResult{}, err
	}
	if !waitPeer(ctx, s.host, answerTime) {
		return inviteResult{}, fmt.Errorf("invite: %w", client.ErrNoPeers)
	}
	v, err := s.client.NetworkView(ctx)
	if err != nil {
		return inviteResult{}, fmt.Errorf("invite: %w", err)
	}
	addrs := append(signedAddrs(v), dialled(s.host)...)
	slices.SortStableFunc(addrs, func(x, y string) int { return addrRank(x) - addrRank(y) })
	if len(addrs) > 0 && addrRank(addrs[0]) >= rankLocal {
		a.warn("all addresses known are this machine's own: the invitation works here only")
	}
	return invitation(a.flags.network, addrs)
}

// signedAddrs returns the first address of each node that others name, from the
// peer record that the node itself signed.
func signedAddrs(v *client.View) []string {
	var out []string
	seen := make(map[peer.ID]bool)
	for _, n := range v.Nodes {
		for _, e := range n.Info.Donors {
			rec, err := e.Open()
			if err != nil || seen[rec.Peer] || len(rec.Addrs) == 0 {
				continue
			}
			seen[rec.Peer] = true
			full, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: rec.Peer, Addrs: rec.Addrs[:1]})
			if err == nil {
				out = append(out, full[0].String())
			}
		}
	}
	return out
}

// nodeInvitation names the node itself, then the peers that it began with, then the
// rest of its own addresses.
func (a *app) nodeInvitation(s *nodeStart) (inviteResult, error) {
	own := s.addrs()
	addrs := own[:min(len(own), ownInvited)]
	return invitation(a.flags.network, append(append(addrs, a.flags.bootstrap...), own[len(addrs):]...))
}

// ownInvited is how many of its own addresses a node puts into an invitation
// before those of others.
const ownInvited = 2

// dialled returns the addresses at which a client reached its peers: others can
// reach them there, too.
func dialled(n protocol.Network) []string {
	var addrs []string
	for _, id := range n.Known() {
		addr, relayed, ok := n.RemoteAddr(id)
		if !ok || relayed || addr == nil {
			continue
		}
		full, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{addr}})
		if err == nil {
			addrs = append(addrs, full[0].String())
		}
	}
	return addrs
}

func invitation(network string, addrs []string) (inviteResult, error) {
	inv := protocol.Invitation{Network: network}
	r := inviteResult{Network: network}
	for _, text := range addrs {
		m, err := multiaddr.NewMultiaddr(text)
		if err != nil || len(inv.Addrs) == protocol.MaxInvitationAddrs || slices.Contains(r.Addrs, text) {
			continue
		}
		if _, err := protocol.ParseHint(m.Bytes()); err != nil {
			continue
		}
		inv.Addrs = append(inv.Addrs, m.Bytes())
		r.Addrs = append(r.Addrs, text)
	}
	if len(inv.Addrs) == 0 {
		return r, withHint(errors.New("invite: no address is known at which others could dial anybody"), "try again when the node has been up for a minute")
	}
	text, err := inv.Text()
	r.Text = text
	if err != nil {
		return r, fmt.Errorf("invite: %w", err)
	}
	return r, nil
}
