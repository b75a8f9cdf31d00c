package neighbours

import (
	"slices"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// What is noted of lacks is bounded, for a group and in all, and a group's share is
// free again when it closes.
func TestLacksAreBounded(t *testing.T) {
	h := newView(20, profile, 400)
	var all []protocol.SegmentID
	lacks := make(map[protocol.SegmentID]bool)
	for i := range maxLacks / 2 {
		s := protocol.SegmentID{byte(i), byte(i >> 8), byte(i >> 16)}
		all, lacks[s] = append(all, s), true
	}
	for _, id := range h.IDs() {
		for _, p := range h.Holders(id) {
			h.HeardList(id, p.Peer, h.Question(id, all, true), lacks)
		}
		h.LackOwn(id, all)
		if n := h.lacks.Of(h.groups[id]); n > maxLacks {
			t.Fatalf("%d lacks of one group", n)
		}
		if h.Confess(id, h.Holders(id)[0].Peer, protocol.SegmentID{0, 0, 0, 1}, time.Hour) && h.lacks.Of(h.groups[id]) > maxLacks {
			t.Fatal("confessions have no bound")
		}
	}
	if n := h.lacks.Total(); n > maxAllLacks || n < maxAllLacks-maxLacks {
		t.Fatalf("%d lacks in all", n)
	}
	for _, id := range h.IDs() {
		h.Close(id)
	}
	if n := h.lacks.Total(); n != 0 {
		t.Errorf("%d lacks of groups that are closed", n)
	}
}

// Whatever comes in whatever order, the counts of lacks are what the sets hold.
func TestLacksAreCounted(t *testing.T) {
	const seed = 95
	r := seeded(t, seed)
	h := newView(3, profile, 12)
	ids := h.IDs()
	segment := func() protocol.SegmentID { return protocol.SegmentID{byte(r.IntN(20))} }
	for range 5000 {
		id := ids[r.IntN(len(ids))]
		all := h.Holders(id)
		p := all[r.IntN(len(all))]
		list := []protocol.SegmentID{segment(), segment(), segment()}
		switch r.IntN(11) {
		case 0:
			h.HeardList(id, p.Peer, h.Question(id, list, true), map[protocol.SegmentID]bool{list[0]: true, list[1]: r.IntN(2) == 0})
		case 1:
			h.Got(id, p.Peer, p.Slot, list[0])
		case 2:
			h.Miss(id, p.Peer, p.Slot, list[0])
		case 3:
			h.ForgetSegment(id, list[0])
		case 4:
			h.LackOwn(id, slices.Compact(slices.SortedFunc(slices.Values(list), func(a, b protocol.SegmentID) int { return int(a[0]) - int(b[0]) })))
		case 5:
			h.GotOwn(id, list[0])
		case 6:
			h.LostOwn(id, list[0])
		case 7:
			h.Ask(id, idFor(600+r.IntN(50)), p.Slot, "")
		case 8:
			h.Confess(id, p.Peer, list[0], time.Duration(r.IntN(3)-1))
		case 9:
			h.ForgetFaults(id, func(protocol.SegmentID) bool { return true })
		case 10:
			if r.IntN(20) == 0 {
				h.forgetLongest(h.groups[id])
			}
		}
	}
	total := 0
	for _, id := range ids {
		g := h.groups[id]
		sum := len(g.without)
		for i := range g.list {
			sum += g.list[i].lacking()
		}
		if n := h.lacks.Of(g); n != sum {
			t.Errorf("%d lacks are counted, %d are there", n, sum)
		}
		total += sum
	}
	if n := h.lacks.Total(); n != total || total == 0 {
		t.Errorf("%d lacks are counted, %d are there", n, total)
	}
}

// Groups in which much is lacked, by their members or by this node itself, leave room
// for what is lacked in others, before and after. A holder whose list had to give way
// is asked anew, and a list is noted whole or not at all.
func TestLacksAreShared(t *testing.T) {
	const strangers, few = 30, 4
	p := protocol.Profile{K: 8, R: 20, N: 30}
	h := newView(strangers+2*few, p, 4000)
	ids := h.IDs()
	segs := make([]protocol.SegmentID, protocol.MaxGroupSegments)
	all := make(map[protocol.SegmentID]bool)
	for i := range segs {
		segs[i] = protocol.SegmentID{byte(i), byte(i >> 8)}
		all[segs[i]] = true
	}
	flood := func() {
		for _, id := range ids[:strangers] {
			h.LackOwn(id, segs)
			for _, m := range h.Holders(id)[4:22] {
				h.HeardList(id, m.Peer, h.Question(id, segs, true), all)
			}
		}
	}
	seg := segs[:1]
	hear := func(ids []protocol.GroupID) {
		for _, id := range ids {
			h.LackOwn(id, seg)
			for _, m := range h.Holders(id)[1:] {
				h.HeardList(id, m.Peer, h.Question(id, seg, true), all)
			}
			if m := h.Holders(id)[0]; !h.Confess(id, m.Peer, seg[0], time.Hour) {
				t.Error("no room for a confession")
			}
		}
	}
	hear(ids[strangers:][:few])
	flood()
	hear(ids[strangers+few:])
	flood()
	for _, id := range ids[strangers:] {
		if n := h.Roll(id).Lacking(seg[0]); n.Count() != p.N {
			t.Errorf("of %d that lack a segment %d are noted", p.N, n.Count())
		}
	}
	if n := h.lacks.Total(); n > maxAllLacks || n < maxAllLacks*9/10 {
		t.Errorf("%d lacks in all", n)
	}
	for _, id := range ids[:strangers] {
		for _, m := range h.Holders(id)[4:22] {
			if whole := m.Lacks == len(segs); whole != h.HasTold(id, m.Peer, m.Slot) || whole != h.HasListed(id, m.Peer, m.Slot) {
				t.Fatalf("%d lacks of one are noted, and it is not asked for the rest", m.Lacks)
			}
		}
	}
}
