package node

import (
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// A request for a slot costs as much in a group of which the members lack all
// segments as in one of which they lack none: anybody may ask.
func TestEnterCostsNoLookAtAllLacks(t *testing.T) {
	p := protocol.Profile{K: 8, R: 20, N: 30}
	const seen = 17 // members that answer
	cost := func(segments, slot int) float64 {
		w := newWorld(t, 905, nil)
		o := w.around(p).found()
		segs := make([]protocol.SegmentID, segments)
		lacks := make(map[protocol.SegmentID]bool)
		for i := range segs {
			segs[i] = protocol.SegmentID(randomBytes(w.r, 32))
			lacks[segs[i]] = true
		}
		nb := w.node.neighbours
		for _, m := range o.members {
			if m.id != w.net.id {
				nb.Beaten(m.id, &protocol.Beat{})
			}
		}
		for range 30 { // and some fall silent
			w.clock.step(time.Hour)
			for i, m := range o.members {
				if i >= seen {
					nb.Unanswered(m.id)
				} else if m.id != w.net.id {
					nb.Beaten(m.id, &protocol.Beat{})
				}
			}
		}
		for i, m := range o.members {
			if m.id != w.net.id && i < seen {
				nb.HeardList(o.id, m.id, nb.Question(o.id, segs, true), lacks)
			}
		}
		if v := nb.RollFor(o.id); v == nil || v.Lack != nil {
			t.Fatal("a short roll lists who lacks what")
		}
		short := nb.RollFor(o.id)
		x := group.Seat{Slot: uint8(slot), Peer: idFor(1)}
		if asks := short.Table.MayEnter(x, short.View, false) != short.Table.MayEnter(x, short.View, true); asks != (slot >= seen) {
			t.Fatalf("slot %d depends on urgency: %t", slot, asks)
		}
		i := 0
		return testing.AllocsPerRun(50, func() {
			i++
			_, err := w.node.Enter(t.Context(), at(idFor(i), "/ip4/66.6.6.6/tcp/1"), &protocol.EnterRequest{Group: o.id, Slot: slot})
			if err == nil {
				t.Error("a stranger is let in")
			}
		})
	}
	for _, slot := range []int{7, 25} { // one that answers, and one that has not for a while
		none, all := cost(1, slot), cost(protocol.MaxGroupSegments, slot)
		t.Logf("slot %d: %.0f allocations, where all is lacked %.0f", slot, none, all)
		if all > none+10 {
			t.Errorf("slot %d: %.0f allocations, where all is lacked %.0f", slot, none, all)
		}
	}
}

// A short roll tells the same as the whole one: which holders lack a segment, and
// whether there is urgency, also when that changes.
func TestShortRolls(t *testing.T) {
	w := newWorld(t, 906, nil)
	o := w.newOwner().found()
	nb := w.node.neighbours
	a, b := protocol.SegmentID{1}, protocol.SegmentID{2}
	for _, m := range o.members {
		if m.id != w.net.id {
			nb.Beaten(m.id, &protocol.Beat{})
		}
	}
	check := func(want bool) {
		t.Helper()
		all, one, none := nb.Roll(o.id), nb.RollFor(o.id, a), nb.RollFor(o.id)
		if all.Lacking(a) != one.Lacking(a) || one.Lack[b] != none.Lack[b] {
			t.Errorf("%v lack it, or %v", all.Lacking(a), one.Lacking(a))
		}
		if all.Urgent() != want || nb.IsUrgent(none) != want || nb.IsUrgent(one) != want {
			t.Errorf("urgent: %t in the whole roll, %t, %t in short ones", all.Urgent(), nb.IsUrgent(none), nb.IsUrgent(one))
		}
	}
	check(false)
	for i, m := range o.members {
		if m.id != w.net.id && i < 3 {
			nb.HeardList(o.id, m.id, nb.Question(o.id, []protocol.SegmentID{a, b}, true), map[protocol.SegmentID]bool{a: true})
		}
	}
	nb.LackOwn(o.id, []protocol.SegmentID{a})
	nb.Confess(o.id, o.members[5].id, b, time.Hour)
	check(true)
	for i, m := range o.members {
		if m.id != w.net.id {
			nb.Got(o.id, m.id, i, a)
		}
	}
	nb.GotOwn(o.id, a)
	check(false)
}
