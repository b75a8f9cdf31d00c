package neighbours

import (
	"testing"
	"time"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// A crowd that asks for a slot keeps neither the candidate out nor, once it was
// audited in vain, anybody else.
func TestCrowdOfAskers(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.IDs()[0]
	drawn := h.Holders(id)[2]
	slot, candidate := drawn.Slot, idFor(900)
	for i := range seatsPerSlot - 1 {
		if !h.Ask(id, idFor(600+i), slot, candidate) {
			t.Fatalf("asker %d is refused", i)
		}
	}
	if h.Ask(id, idFor(700), slot, candidate) {
		t.Error("one more may ask")
	}
	if !h.Ask(id, candidate, slot, candidate) {
		t.Error("the candidate is kept out")
	}
	for i := range seatsPerSlot - 1 {
		h.TriedInVain(id, idFor(600+i), slot)
	}
	h.TriedInVain(id, candidate, slot)
	for i := range 20 {
		if !h.Ask(id, idFor(701+i), slot, candidate) && i < seatsPerSlot-2 {
			t.Errorf("those who proved nothing keep asker %d out", i)
		}
	}
	if s := h.groups[id].at(candidate, slot); s == nil || !s.asks {
		t.Error("the candidate had to give way")
	}
	if !h.IsMember(id, drawn.Peer) {
		t.Error("the slot's holder had to give way")
	}
	if n := len(h.groups[id].list); n > len(h.Holders(id)) || n > 5+seatsPerSlot {
		t.Errorf("%d seats", n)
	}
}

// Refusals count against a holder once they have lasted, whatever their code. For a
// holder that was excused the time begins anew; one that may not know the asker as a
// member has longer.
func TestRefusalsThatLast(t *testing.T) {
	const day = 24 * time.Hour
	h, at := newView(1, profile, 100), time.Duration(0)
	h.now, h.mono = func() time.Time { return epoch.Add(at) }, func() time.Duration { return at }
	id := h.IDs()[0]
	who := h.Holders(id)[1]
	refuse := func(c protocol.Code) bool { return h.Refusal(id, who.Peer, who.Slot, c) }
	if refuse(protocol.CodeUnavailable) {
		t.Error("one refusal counts")
	}
	live := func(days int) {
		for range days {
			at += day
			h.Now()
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
	g.at(who.Peer, who.Slot).audits.Proved = false
	h.mu.Unlock()
	if refuse(protocol.CodeDisputed) {
		t.Error("who never answered this guest has failed after a week")
	}
	live(28)
	if !refuse(protocol.CodeDisputed) {
		t.Error("who never answered this guest is borne for ever")
	}
	h.mu.Lock()
	g.at(who.Peer, who.Slot).who.state = liveness.Suspended
	h.mu.Unlock()
	h.PlanPass(id, []protocol.SegmentID{{1}}, func() float64 { return 0.5 })
	if refuse(protocol.CodeUnavailable) {
		t.Error("what came before its disk was missing counts")
	}
}
