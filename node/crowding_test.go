package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// Whom the drawer named makes way for itself and gives way to nobody; others
// stay for their day, however often they are named.
func TestNomineesByTurn(t *testing.T) {
	l, p := newNominees(), place{protocol.GroupID{1}, 3}
	const day = 24 * time.Hour
	name := func(i int, byTurn bool, now time.Duration) bool {
		return l.name(p, nominee{idFor(i), nil, now + day, byTurn}, now)
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

// A crowd that asks for a slot keeps neither the candidate out nor, once it was
// audited in vain, anybody else.
func TestCrowdOfAskers(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.ids()[0]
	drawn := h.holders(id)[2]
	slot, candidate := drawn.slot, idFor(900)
	for i := range seatsPerSlot - 1 {
		if !h.ask(id, idFor(600+i), slot, candidate) {
			t.Fatalf("asker %d is refused", i)
		}
	}
	if h.ask(id, idFor(700), slot, candidate) {
		t.Error("one more may ask")
	}
	if !h.ask(id, candidate, slot, candidate) {
		t.Error("the candidate is kept out")
	}
	for i := range seatsPerSlot - 1 {
		h.triedInVain(id, idFor(600+i), slot)
	}
	h.triedInVain(id, candidate, slot)
	for i := range 20 {
		if !h.ask(id, idFor(701+i), slot, candidate) && i < seatsPerSlot-2 {
			t.Errorf("those who proved nothing keep asker %d out", i)
		}
	}
	if s := h.groups[id].at(candidate, slot); s == nil || !s.asks {
		t.Error("the candidate had to give way")
	}
	if !h.isMember(id, drawn.peer) {
		t.Error("the slot's holder had to give way")
	}
	if n := len(h.groups[id].list); n > len(h.holders(id)) || n > 5+seatsPerSlot {
		t.Errorf("%d seats", n)
	}
}

// Refusals count against a holder once they have lasted, whatever their code;
// who is excused begins anew, and who may not know the asker has longer.
func TestRefusalsThatLast(t *testing.T) {
	const day = 24 * time.Hour
	h, at := newView(1, profile, 100), time.Duration(0)
	h.now, h.mono = func() time.Time { return epoch.Add(at) }, func() time.Duration { return at }
	id := h.ids()[0]
	who := h.holders(id)[1]
	refuse := func(c protocol.Code) bool { return h.refusal(id, who.peer, who.slot, c) }
	if refuse(protocol.CodeUnavailable) {
		t.Error("one refusal counts")
	}
	live := func(days int) {
		for range days {
			at += day
			h.at()
		}
	}
	live(6)
	if refuse(protocol.CodeSuspended) {
		t.Error("six days count")
	}
	live(1)
	for _, c := range []protocol.Code{protocol.CodeUnavailable, protocol.CodeSuspended, protocol.CodeCapped, protocol.CodeDisputed} {
		if !refuse(c) {
			t.Errorf("seven days of refusals with %d do not count", c)
		}
	}
	h.mu.Lock()
	g := h.groups[id]
	g.mine = false
	g.at(who.peer, who.slot).audits.Proved = false
	h.mu.Unlock()
	if refuse(protocol.CodeDisputed) {
		t.Error("who never answered this guest has failed after a week")
	}
	live(28)
	if !refuse(protocol.CodeDisputed) {
		t.Error("who never answered this guest is borne for ever")
	}
	h.mu.Lock()
	g.at(who.peer, who.slot).who.state = liveness.Suspended
	h.mu.Unlock()
	h.planPass(id, []protocol.SegmentID{{1}}, func() float64 { return 0.5 })
	if refuse(protocol.CodeUnavailable) {
		t.Error("what came before its disk was missing counts")
	}
}

// Who had a shard of this node's making, and does not prove it, gets it once.
func TestShardsAreGivenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		defer h.close()
		n := h.all[0].node
		p, seg := place{h.id, 4}, protocol.SegmentID{7}
		now := n.neighbours.at()
		n.nominees.name(p, nominee{idFor(77), nil, now + 20*24*time.Hour, true}, now)
		v := n.neighbours.roll(h.id)
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
