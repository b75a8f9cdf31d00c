package donors

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

var (
	start = time.Unix(1_900_000_000, 0)
	node  = &protocol.InfoReply{Donated: 1}
)

func ip(format string, args ...any) multiaddr.Multiaddr {
	return multiaddr.StringCast("/ip4/" + fmt.Sprintf(format, args...) + "/tcp/1")
}

func id(name string, i int) peer.ID { return peer.ID(fmt.Sprint(name, i)) }

// hint tells of an envelope that claims an address.
func (d *Known) hint(who peer.ID, at multiaddr.Multiaddr, now time.Time) {
	d.Hint(protocol.Envelope(who), protocol.PeerRecord{Peer: who, Seq: 1, Addrs: []multiaddr.Multiaddr{at}}, now)
}

// known counts the peers of a name that are remembered.
func (d *Known) known(name string, n int) (known int) {
	for i := range n {
		if d.peers[id(name, i)] != nil {
			known++
		}
	}
	return known
}

// However many identities one domain has, all other nodes stay known, newcomers become
// known, and most of the peers that are picked and told of are from other domains. It
// makes no difference where the crowd says that it is, nor that it was never seen.
func TestCrowdOfDonors(t *testing.T) {
	const honest, crowd = 100, 2 * maxDonors
	for name, seen := range map[string]multiaddr.Multiaddr{"seen": ip("66.6.6.6"), "not seen": nil} {
		d, rng := New(), rand.New(rand.NewPCG(1, 1))
		now := start
		for i := range honest {
			d.hint(id("honest", i), ip("20.%d.0.1", i), now)
			d.Answered(id("honest", i), ip("20.%d.0.1", i), node, false, now)
		}
		for i := range crowd {
			now = now.Add(time.Second)
			d.hint(id("crowd", i), ip("66.%d.%d.6", i/250, i%250), now)
			d.Answered(id("crowd", i), seen, node, false, now)
		}
		d.hint("late", ip("30.1.1.1"), now)
		d.Answered("late", ip("30.1.1.1"), node, false, now)
		if n := d.known("honest", honest); n != honest || d.peers["late"] == nil {
			t.Errorf("%s: %d of %d honest nodes remembered, the newest: %v", name, n, honest, d.peers["late"] != nil)
		}
		drawn := 0
		for _, p := range d.Draw(64, now, rng) {
			if p != "late" && p[0] == 'c' {
				drawn++
			}
		}
		told := 0
		for _, v := range d.Tell(31, "late", now, rng) {
			if v.Peer[0] == 'c' {
				told++
			} else if v.Peer == "late" {
				t.Error("who asks is told of itself")
			}
		}
		if drawn > 1 || told > 1 {
			t.Errorf("%s: %d of 64 drawn and %d of 31 told of are the crowd's", name, drawn, told)
		}
		if all := d.Draw(2*maxDonors, now, rng); len(all) != len(d.nodes.all()) {
			t.Errorf("%s: %d of %d drawn", name, len(all), len(d.nodes.all()))
		}
	}
}

// all returns the peers of a pool.
func (p *pool) all() (out []*donor) {
	for _, c := range p.crowds {
		out = append(out, c.peers...)
	}
	return out
}

// Peers that are only told of drive out no more than a part of the nodes, first those
// of crowds, and there is always room for more peers that are told of.
func TestHintsAreWorthLess(t *testing.T) {
	d, now := New(), start
	for i := range maxDonors {
		now = now.Add(time.Second)
		at := ip("20.%d.%d.1", i/250, i%250)
		if i%2 == 0 {
			at = ip("66.6.6.6")
		}
		d.Answered(id("node", i), at, node, false, now)
	}
	for i := range 3 * maxDonors {
		now = now.Add(time.Second)
		d.hint(id("hint", i), ip("%d.%d.%d.1", 100+i/62500, i/250%250, i%250), now)
	}
	lone := 0
	for i := range maxDonors / 2 {
		if d.peers[id("node", 2*i+1)] != nil {
			lone++
		}
	}
	if lone != maxDonors/2 || d.nodes.size != maxDonors-maxOthers || d.others.size != maxOthers {
		t.Errorf("%d of %d nodes that are alone in their domains are left, %d in all, and %d hints", lone, maxDonors/2, d.nodes.size, d.others.size)
	}
	if d.peers[id("hint", 3*maxDonors-1)] == nil {
		t.Error("the newest hint is not kept")
	}
}

// A peer that is seen elsewhere, or is no longer a node, counts where it is now.
func TestDonorsMove(t *testing.T) {
	d := New()
	at := func(want *pool, addr string) {
		t.Helper()
		e := d.peers["it"]
		var domain group.Domain
		if addr != "" {
			domain = domainOf(ip("%s", addr))
		}
		if e.pool != want || e.crowd.domain != domain || d.nodes.size+d.others.size != 1 {
			t.Errorf("in %s, not %q", e.crowd.domain, addr)
		}
	}
	d.hint("it", ip("10.0.0.1"), start)
	at(d.others, "10.0.0.1")
	d.Hint(protocol.Envelope("newer"), protocol.PeerRecord{Peer: "it", Seq: 2, Addrs: []multiaddr.Multiaddr{ip("10.0.0.1"), ip("20.0.0.1")}}, start)
	at(d.others, "20.0.0.1")
	d.Greet("it", nil, start)
	at(d.nodes, "")
	d.Spoke("it", ip("30.0.0.1"), start)
	at(d.nodes, "30.0.0.1")
	d.Answered("it", nil, node, false, start)
	at(d.nodes, "30.0.0.1")
	d.Answered("it", ip("40.0.0.1"), &protocol.InfoReply{}, false, start)
	at(d.others, "40.0.0.1")
	d.Forget(start.Add(49 * time.Hour))
	if d.nodes.size+d.others.size+len(d.peers)+len(d.others.domains)+len(d.others.crowds) != 0 {
		t.Error("who is forgotten is in a domain still")
	}
}

// Whatever happens, the pools hold all peers, each once, and know which is to be
// dropped first.
func TestPoolsStayInOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 7))
	d, now := New(), start
	for step := range 20_000 {
		now = now.Add(time.Duration(rng.IntN(10)) * time.Minute)
		who, at := id("", rng.IntN(300)), ip("20.0.%d.1", rng.IntN(1+rng.IntN(20)))
		switch rng.IntN(6) {
		case 0:
			d.hint(who, at, now)
		case 1:
			d.Answered(who, at, node, false, now)
		case 2:
			d.Answered(who, at, &protocol.InfoReply{}, false, now)
		case 3:
			d.Spoke(who, at, now)
		case 4:
			if len(d.peers) > 0 {
				d.makeRoom()
			}
		case 5:
			if step%100 == 0 {
				d.Forget(now)
			}
		}
		if n := len(d.nodes.all()) + len(d.others.all()); n != len(d.peers) || d.nodes.size+d.others.size != n {
			t.Fatalf("step %d: %d of %d peers in the pools", step, n, len(d.peers))
		}
		for _, p := range []*pool{d.nodes, d.others} {
			for _, e := range p.all() {
				first := p.first()
				if len(e.crowd.peers) > len(first.crowd.peers) || e.crowd == first.crowd && e.heard.Before(first.heard) {
					t.Fatalf("step %d: %s goes before another of the %d in %s", step, first.id, len(e.crowd.peers), e.crowd.domain)
				}
			}
		}
	}
}
