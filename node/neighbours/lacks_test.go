package neighbours

import (
	"slices"
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

// What is noted of lacks is bounded, a group's and in all, and what a group had
// is free again when it closes.
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
		if n := h.groups[id].lacks; n > maxLacks {
			t.Fatalf("%d lacks of one group", n)
		}
	}
	if h.lacks != maxAllLacks {
		t.Fatalf("%d lacks in all", h.lacks)
	}
	for _, id := range h.IDs() {
		h.Close(id)
	}
	if h.lacks != 0 {
		t.Errorf("%d lacks of groups that are closed", h.lacks)
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
		switch r.IntN(8) {
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
		}
	}
	total := 0
	for _, id := range ids {
		g := h.groups[id]
		sum := len(g.without)
		for i := range g.list {
			sum += len(g.list[i].lacks)
		}
		if g.lacks != sum {
			t.Errorf("%d lacks are counted, %d are there", g.lacks, sum)
		}
		total += sum
	}
	if h.lacks != total || total == 0 {
		t.Errorf("%d lacks are counted, %d are there", h.lacks, total)
	}
}
