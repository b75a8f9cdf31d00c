package neighbours

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// A crowd that asks for slots and falls silent makes no node believe that it is cut
// off: that would keep it from judging anybody.
func TestAskersAreNoCensus(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.IDs()[0]
	for i := range profile.N {
		h.Ask(id, idFor(600+i), i, "")
		h.AskBeside(id, idFor(700+i), i)
	}
	members := 0
	i := 0
	for _, p := range h.peers {
		i++
		h.see(p.id, fmt.Sprintf("20.1.%d.1", i))
		p.standing = liveness.Standing{Heard: true}
		if p.member {
			members++
		} else {
			p.standing.Fails = 1
		}
	}
	h.counted = false
	if c := h.census(); c.CutOff() || c.Recent != members || len(h.peers) < 2*members {
		t.Errorf("%+v of %d members and %d neighbours", c, members, len(h.peers))
	}
	h.Prove(id, idFor(600), 0)
	h.counted = false
	if c := h.census(); c.Recent != members+1 {
		t.Errorf("%+v with one that proved its slot", c)
	}
}

// A peer that asks for a slot that another holds, and proves nothing, takes nobody's
// place, gains nothing by failing, waiting or a restart, and is not remembered.
func TestStrangers(t *testing.T) {
	h := newView(1, profile, 100)
	id, next := h.IDs()[0], 600
	g := h.groups[id]
	newcomer := func() peer.ID { next++; return idFor(next) }
	known := func(p peer.ID, slot int) bool { return g.at(p, slot) != nil }

	spare, back, stranger := newcomer(), newcomer(), newcomer()
	h.AskBeside(id, spare, 2)
	h.ProveBeside(id, spare, 2)
	h.Ask(id, back, 2, "")
	h.Prove(id, back, 2)
	h.Lose(id, back, 2, LostGone)
	if !h.AskBeside(id, stranger, 2) || h.AskBeside(id, newcomer(), 2) {
		t.Error("four are remembered, and whoever is about to be audited keeps its place")
	}
	h.TriedInVain(id, stranger, 2)
	for range 3 {
		if p := newcomer(); h.AskBeside(id, p, 2) {
			h.TriedInVain(id, p, 2)
		}
	}
	if !known(spare, 2) || !known(back, 2) || known(stranger, 2) {
		t.Error("who proves nothing drives out a spare, or one that held the slot")
	}
	if p := newcomer(); !h.Ask(id, p, 2, "") || !known(spare, 2) || !known(back, 2) {
		t.Error("who may enter finds no place, or takes another's than a stranger's")
	}

	for name, end := range map[string]func(p peer.ID){
		"asks":           func(peer.ID) {},
		"proves falsely": func(p peer.ID) { h.Reject(id, p, 3) },
		"falls silent":   func(p peer.ID) { h.loseAll(g, h.peers[p], LostGone) },
	} {
		p := newcomer()
		h.AskBeside(id, p, 3)
		if end(p); h.Sits(id, p) || h.Knows(p) || g.at(p, 3).lost != 0 {
			t.Errorf("who only %s has a part in the group", name)
		}
		f, err := g.note(0)
		if err != nil {
			t.Fatal(err)
		}
		n, err := parseSeatsNote(f.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if again := newView(1, profile, 100); true {
			again.apply(again.groups[id], n)
			if again.HasSeat(id, p) || !again.Sits(id, spare) {
				t.Errorf("after a restart: who %s is noted, or the spare is not", name)
			}
		}
	}
}

// While a spare is audited for a slot that fell vacant, no candidate is drawn for the
// slot, for an hour. Nobody else keeps a slot from being filled, nor does the spare by
// asking again.
func TestSparesAreCalledOnce(t *testing.T) {
	h := newView(1, profile, 100)
	now := time.Minute
	h.mono = func() time.Duration { return now }
	id, spare := h.IDs()[0], idFor(600)
	all := group.UpTo(profile.N)
	h.AskBeside(id, idFor(601), 2)
	h.Ask(id, idFor(602), 3, "")
	if called := h.CallSpares(id, all); called.Count() != 0 {
		t.Errorf("%d slots wait for who only asks", called.Count())
	}
	h.AskBeside(id, spare, 1)
	h.ProveBeside(id, spare, 1)
	for range 4 {
		if called := h.CallSpares(id, all); !called.Has(1) || called.Count() != 1 {
			t.Errorf("%d slots wait for a spare", called.Count())
		}
		now += 14 * time.Minute
		h.Ask(id, spare, 1, "")
	}
	now += 14 * time.Minute
	if called := h.CallSpares(id, all); called.Count() != 0 {
		t.Error("a slot waits for its spare after an hour")
	}
}

// A segment that a holder says it lacks no longer counts against it once nobody need
// bring it; and the holder lacks it all the same.
func TestExcuse(t *testing.T) {
	h := newView(1, profile, 100)
	id, seg := h.IDs()[0], protocol.SegmentID{7}
	p := h.Holders(id)[1]
	h.HeardList(id, p.Peer, h.Question(id, []protocol.SegmentID{seg}, true), map[protocol.SegmentID]bool{seg: true})
	h.Saw(id, p.Peer, p.Slot, seg, audit.Reported)
	if v := h.Holders(id)[1]; v.Failed != 1 {
		t.Fatalf("%+v", v)
	}
	h.Excuse(id, p.Peer, p.Slot, seg)
	if v := h.Holders(id)[1]; v.Failed != 0 || v.Lacks != 1 || h.groups[id].at(p.Peer, p.Slot).audits.Self != 0 {
		t.Errorf("%+v", v)
	}
}

// However many places a peer has in a group, it is one member.
func TestEnrolled(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.IDs()[0]
	members := len(h.peers)
	p := h.Holders(id)[1]
	h.Lose(id, p.Peer, p.Slot, LostGone)
	h.Ask(id, p.Peer, p.Slot+1, "")
	h.Prove(id, p.Peer, p.Slot+1)
	if h.enrolled != members {
		t.Errorf("%d of %d", h.enrolled, members)
	}
	if h.Close(id); h.enrolled != 0 || len(h.peers) != 0 {
		t.Errorf("%d, and %d neighbours, when none is left", h.enrolled, len(h.peers))
	}
}
