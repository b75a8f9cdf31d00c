package node

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/protocol"
)

// A node that has audited too few of its co-members to tell whether a segment needs
// repair lends to the members whose turn it may be, to nobody else, and no longer once
// it knows that enough hold it. Then it asks the others whether they do.
func TestLendsWhereUnclear(t *testing.T) {
	h, id := newRegister(protocol.Profile{K: 8, R: 20, N: 30})
	n := &Node{neighbours: h, cfg: Config{Timing: DefaultTiming()}, now: func() time.Time { return epoch }, revisits: newRevisits(), rand: lockedRand{r: rand.New(rand.NewPCG(1, 1))}}
	lentTo := func() (some, none bool) {
		for _, m := range h.Holders(id) {
			_, err := n.mayRepair(m.Peer, &protocol.MendRequest{Group: id, Segment: protocol.SegmentID{1}, Slot: protocol.AnySlot, Purpose: protocol.PurposeRepair})
			some, none = some || err == nil, none || protocol.CodeOf(err) == protocol.CodeDisputed
		}
		return some, none
	}
	for _, m := range h.Holders(id) {
		h.Beaten(m.Peer, &protocol.Beat{Clock: epoch.Unix()})
	}
	if some, none := lentTo(); !some || !none {
		t.Errorf("before anybody is audited: lent to some %v, refused to others %v", some, none)
	}
	for _, m := range h.Holders(id) {
		h.Saw(id, m.Peer, m.Slot, protocol.SegmentID{2}, audit.OK)
	}
	if some, _ := lentTo(); some {
		t.Error("all hold the segment, and it is lent for repair")
	}
	// It may have missed that a holder lacks it: it asks each other member, once.
	every := n.cfg.Timing.ExchangeEvery
	if due := n.revisits.due(every/retryPart, every, 100); len(due) != 29 {
		t.Errorf("%d members are asked what they have", len(due))
	}
}

// A node that is lent shards later comes back for each segment in time, though the
// next round is hours off.
func TestComesBackForLateLoans(t *testing.T) {
	r := newRepairs(1)
	const every = 2 * time.Hour
	if got := r.wait(every, 0); got != every {
		t.Errorf("a round after %s, with nothing to come back for", got)
	}
	r.lookAt(kin{segment: protocol.SegmentID{1}}, 75*time.Second)
	r.lookAt(kin{segment: protocol.SegmentID{2}}, 80*time.Second)
	for _, c := range []struct{ now, wait time.Duration }{
		{0, 75 * time.Second}, {75 * time.Second, 5 * time.Second}, {81 * time.Second, every},
	} {
		r.begin(c.now)
		if got := r.wait(every, c.now); got != c.wait {
			t.Errorf("at %s: a round after %s, want %s", c.now, got, c.wait)
		}
	}
}
