package node

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// A candidate that the drawer named replaces one that it did not, and gives way to
// none; every candidate stays for one day, however often it is named.
func TestNomineesByTurn(t *testing.T) {
	l, p := newNominees(), place{protocol.GroupID{1}, 3}
	const day = 24 * time.Hour
	name := func(i int, byTurn bool, now time.Duration) bool {
		return l.name(p, nominee{peer: idFor(i), until: now + day, byTurn: byTurn}, now)
	}
	for _, c := range []struct {
		what   string
		peer   int
		byTurn bool
		at     time.Duration
		want   bool
	}{
		{"the first", 1, false, 0, true},
		{"another out of turn", 2, false, time.Hour, false},
		{"the first again", 1, false, 23 * time.Hour, true},
		{"another, after the day of the first", 2, false, day, true},
		{"the drawer's", 3, true, day + time.Hour, true},
		{"out of turn", 1, false, day + 2*time.Hour, false},
		{"another drawer's", 4, true, day + 3*time.Hour, false},
		{"the drawer's again", 3, false, day + 4*time.Hour, true},
		{"another drawer's, a day later", 4, true, 2*day + time.Hour, true},
	} {
		if got := name(c.peer, c.byTurn, c.at); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
		if who, ok := l.at(p, c.at); c.want && (!ok || who.peer != idFor(c.peer)) {
			t.Errorf("%s: %v is named", c.what, who.peer)
		}
	}
}

// A candidate that got a shard from this node, and does not prove it, is not given
// it again within a week.
func TestShardsAreGivenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		defer h.close()
		n := h.all[0].node
		p, seg := place{h.id, 4}, protocol.SegmentID{7}
		now := n.neighbours.Now()
		n.nominees.name(p, nominee{peer: idFor(77), until: now + 20*24*time.Hour, byTurn: true}, now)
		v := n.neighbours.Roll(h.id)
		if to := n.takers(v, 4, seg); len(to) != 1 || to[0] != idFor(77) {
			t.Fatalf("takers: %v", to)
		}
		n.repairs.given.until(loan{borrower: borrower{idFor(77), h.id}, segment: seg}, now+n.cfg.Timing.ConfessedFor, now)
		if to := n.takers(v, 4, seg); len(to) != 0 {
			t.Errorf("it is to have the shard again: %v", to)
		}
		if to := n.takers(v, 4, protocol.SegmentID{8}); len(to) != 1 {
			t.Errorf("and no other: %v", to)
		}
		time.Sleep(8 * 24 * time.Hour)
		if to := n.takers(v, 4, seg); len(to) != 1 {
			t.Errorf("nor a week later: %v", to)
		}
	})
}

// placedNet shows peers at addresses.
type placedNet struct {
	*fakeNet
	addrs map[peer.ID]multiaddr.Multiaddr
}

func (n *placedNet) RemoteAddr(id peer.ID) (multiaddr.Multiaddr, bool, bool) {
	a, ok := n.addrs[id]
	return a, false, ok
}

// offering is a node that has much room.
type offering struct{ protocol.Handler }

func (offering) Info(context.Context, protocol.Remote, *protocol.InfoRequest) (*protocol.InfoReply, error) {
	return &protocol.InfoReply{Network: network, Version: 1, Donated: 1 << 40, Free: 1 << 40, Accepts: protocol.AcceptsOpen}, nil
}

// A drawer asks nodes of as many domains as it can, however many identities sit in
// one. It knows the domains because it asked the nodes, which shows where they are.
func TestCandidatesAreOfManyDomains(t *testing.T) {
	const honest, crowd = 100, 400
	placed := &placedNet{addrs: make(map[peer.ID]multiaddr.Multiaddr)}
	w := newWorld(t, 904, func(c *Config) { placed.fakeNet = c.Net.(*fakeNet); c.Net = placed })
	for i := range honest + crowd {
		addr := "66.6.6.6"
		if i < honest {
			addr = fmt.Sprintf("20.%d.0.1", i)
		}
		placed.addrs[idFor(i)] = multiaddr.StringCast("/ip4/" + addr + "/tcp/1")
		w.net.peers[idFor(i)] = offering{}
		w.node.askInfo(t.Context(), idFor(i))
	}
	domains := make(map[group.Domain]int)
	for _, c := range w.node.candidates(t.Context()) {
		domains[c.Domain(false)]++
	}
	if len(domains) != candidatesAsked {
		t.Errorf("%d candidates are of %d domains", candidatesAsked, len(domains))
	}
}
