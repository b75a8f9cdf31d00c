package node

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Who proves a slot that another holds is no member, but a spare: it may audit the
// members, and has the slot once it is vacant, before another is drawn. Who only asks
// for such a slot learns nothing.
func TestSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slot = 1
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		here, holder := h.all[0], h.all[slot]
		spare, empty := h.candidateFor(slot), h.candidateFor(slot)
		h.fill(spare, slot, h.segments[0])
		spare.end()
		spare.start()
		here.work()
		time.Sleep(time.Hour)
		view := here.node.neighbours
		asks := func(m *villager) error {
			_, err := here.node.Enter(t.Context(), protocol.Remote{Peer: m.peer.Self()}, &protocol.EnterRequest{Group: h.id, Slot: slot})
			return err
		}
		audits := func(m *villager) error {
			r := &protocol.AuditRequest{Group: h.id, Shards: []protocol.ShardRef{{Segment: h.segments[0].id, Slot: 0}}}
			_, err := here.node.Audit(t.Context(), protocol.Remote{Peer: m.peer.Self()}, r)
			return err
		}
		lists := func(m *villager) error {
			here.node.nominees.drop(place{h.id, slot}) // candidates may see lists
			_, err := here.node.Members(t.Context(), protocol.Remote{Peer: m.peer.Self()}, &protocol.MembersRequest{Group: h.id})
			return err
		}
		for _, m := range []*villager{spare, empty} {
			if err := asks(m); !errors.Is(err, protocol.ErrDisputed) {
				t.Errorf("for a slot with a holder: %v", err)
			}
			if err := audits(m); !errors.Is(err, protocol.ErrDisputed) {
				t.Errorf("who has proved nothing audits: %v", err)
			}
			if err := lists(m); !errors.Is(err, protocol.ErrDenied) {
				t.Errorf("who has proved nothing sees members: %v", err)
			}
		}
		time.Sleep(day)
		if view.isMember(h.id, spare.peer.Self()) || len(view.members(h.id)) != 5 {
			t.Error("a spare counts")
		}
		if err := errors.Join(audits(spare), lists(spare)); err != nil {
			t.Errorf("a spare: %v", err)
		}
		if err := errors.Join(audits(empty), lists(empty)); !errors.Is(err, protocol.ErrDisputed) || !errors.Is(err, protocol.ErrDenied) {
			t.Errorf("who has nothing: %v", err)
		}
		holder.end()
		for range 10 {
			time.Sleep(day)
			if err := here.node.repairOnce(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if !view.isMember(h.id, spare.peer.Self()) || view.isMember(h.id, empty.peer.Self()) {
			t.Error("the spare has not got the slot of the holder that is gone")
		}
		holder.start()
		h.close()
	})
}

// A crowd that asks for slots and falls silent makes no node believe that it is cut
// off: that would keep it from judging anybody.
func TestAskersAreNoCensus(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.ids()[0]
	for i := range profile.N {
		h.ask(id, idFor(600+i), i, "")
		h.askBeside(id, idFor(700+i), i)
	}
	members := 0
	for _, p := range h.peers {
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
	h.prove(id, idFor(600), 0)
	h.counted = false
	if c := h.census(); c.Recent != members+1 {
		t.Errorf("%+v with one that proved its slot", c)
	}
}

// Whoever asks for a slot that another holds, and proves nothing, takes nobody's
// place, gains nothing by failing, waiting or a restart, and is not remembered.
func TestStrangers(t *testing.T) {
	h := newView(1, profile, 100)
	id, next := h.ids()[0], 600
	g := h.groups[id]
	newcomer := func() peer.ID { next++; return idFor(next) }
	known := func(p peer.ID, slot int) bool { return g.at(p, slot) != nil }

	spare, back, stranger := newcomer(), newcomer(), newcomer()
	h.askBeside(id, spare, 2)
	h.proveBeside(id, spare, 2)
	h.ask(id, back, 2, "")
	h.prove(id, back, 2)
	h.lose(id, back, 2, lostGone)
	if !h.askBeside(id, stranger, 2) || h.askBeside(id, newcomer(), 2) {
		t.Error("four are remembered, and whoever is about to be audited keeps its place")
	}
	h.triedInVain(id, stranger, 2)
	for range 3 {
		if p := newcomer(); h.askBeside(id, p, 2) {
			h.triedInVain(id, p, 2)
		}
	}
	if !known(spare, 2) || !known(back, 2) || known(stranger, 2) {
		t.Error("who proves nothing drives out a spare, or one that held the slot")
	}
	if p := newcomer(); !h.ask(id, p, 2, "") || !known(spare, 2) || !known(back, 2) {
		t.Error("who may enter finds no place, or takes another's than a stranger's")
	}

	for name, end := range map[string]func(p peer.ID){
		"asks":           func(peer.ID) {},
		"proves falsely": func(p peer.ID) { h.reject(id, p, 3) },
		"falls silent":   func(p peer.ID) { h.loseAll(g, h.peers[p], lostGone) },
	} {
		p := newcomer()
		h.askBeside(id, p, 3)
		if end(p); h.sits(id, p) || h.knows(p) || g.at(p, 3).lost != 0 {
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
			if again.hasSeat(id, p) || !again.sits(id, spare) {
				t.Errorf("after a restart: who %s is noted, or the spare is not", name)
			}
		}
	}
}

// While a spare is audited for a slot that fell vacant no candidate is drawn for it,
// for an hour; nobody else keeps a slot from being filled, nor the spare by asking
// again.
func TestSparesAreCalledOnce(t *testing.T) {
	h := newView(1, profile, 100)
	now := time.Minute
	h.mono = func() time.Duration { return now }
	id, spare := h.ids()[0], idFor(600)
	all := group.UpTo(profile.N)
	h.askBeside(id, idFor(601), 2)
	h.ask(id, idFor(602), 3, "")
	if called := h.callSpares(id, all); called.Count() != 0 {
		t.Errorf("%d slots wait for who only asks", called.Count())
	}
	h.askBeside(id, spare, 1)
	h.proveBeside(id, spare, 1)
	for range 4 {
		if called := h.callSpares(id, all); !called.Has(1) || called.Count() != 1 {
			t.Errorf("%d slots wait for a spare", called.Count())
		}
		now += 14 * time.Minute
		h.ask(id, spare, 1, "")
	}
	now += 14 * time.Minute
	if called := h.callSpares(id, all); called.Count() != 0 {
		t.Error("a slot waits for its spare after an hour")
	}
}

// What a holder lacks by its own word accuses it no more once nobody need bring it;
// and it lacks it all the same.
func TestExcuse(t *testing.T) {
	h := newView(1, profile, 100)
	id, seg := h.ids()[0], protocol.SegmentID{7}
	p := h.holders(id)[1]
	h.heardList(id, p.peer, h.question(id, []protocol.SegmentID{seg}, true), map[protocol.SegmentID]bool{seg: true})
	h.saw(id, p.peer, p.slot, seg, audit.Reported)
	if v := h.holders(id)[1]; v.failed != 1 {
		t.Fatalf("%+v", v)
	}
	h.excuse(id, p.peer, p.slot, seg)
	if v := h.holders(id)[1]; v.failed != 0 || v.lacks != 1 || h.groups[id].at(p.peer, p.slot).audits.Self != 0 {
		t.Errorf("%+v", v)
	}
}

// However many places a peer has in a group, it is one member.
func TestEnrolled(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.ids()[0]
	members := len(h.peers)
	p := h.holders(id)[1]
	h.lose(id, p.peer, p.slot, lostGone)
	h.ask(id, p.peer, p.slot+1, "")
	h.prove(id, p.peer, p.slot+1)
	if h.enrolled != members {
		t.Errorf("%d of %d", h.enrolled, members)
	}
	if h.close(id); h.enrolled != 0 || len(h.peers) != 0 {
		t.Errorf("%d, and %d neighbours, when none is left", h.enrolled, len(h.peers))
	}
}
