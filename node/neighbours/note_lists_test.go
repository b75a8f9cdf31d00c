package neighbours

import (
	"maps"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

const peersSeen = 1 << 20 // so many that each slot has another

// What holders have said that they lack survives a restart.
func TestListsAreNoted(t *testing.T) {
	h := newView(1, profile, peersSeen)
	id := h.IDs()[0]
	others := h.Holders(id)
	a, b, guest, mute, asked := others[0], others[1], others[2], others[3], others[4]
	h.groups[id].at(guest.Peer, guest.Slot).drawn = false
	h.groups[id].at(guest.Peer, guest.Slot).proven = true
	segs := []protocol.SegmentID{{1}, {2}, {3}}
	h.HeardList(id, a.Peer, h.Question(id, segs, true), nil)
	h.HeardList(id, b.Peer, h.Question(id, segs, true), map[protocol.SegmentID]bool{{2}: true})
	h.HeardList(id, guest.Peer, h.Question(id, segs, true), map[protocol.SegmentID]bool{{1}: true, {3}: true})
	h.HeardList(id, asked.Peer, h.Question(id, segs, true), map[protocol.SegmentID]bool{{3}: true})
	h.groups[id].at(asked.Peer, asked.Slot).told = false // it is to be asked anew
	again := restartLists(t, h, id, guest)
	for _, c := range []struct {
		of    Holder
		told  bool
		lacks map[protocol.SegmentID]struct{}
	}{
		{a, true, nil}, {b, true, map[protocol.SegmentID]struct{}{{2}: {}}},
		{guest, true, map[protocol.SegmentID]struct{}{{1}: {}, {3}: {}}}, {mute, false, nil}, {asked, false, map[protocol.SegmentID]struct{}{{3}: {}}},
	} {
		s := again.groups[id].at(c.of.Peer, c.of.Slot)
		if s.told != c.told || !maps.Equal(s.lacks, c.lacks) {
			t.Errorf("slot %d: told %v, lacks %v", c.of.Slot, s.told, s.lacks)
		}
	}
	if n := again.lacks.Total(); n != 4 {
		t.Errorf("%d lacks", n)
	}
}

// A node that is killed after a segment came, before it noted that, asks those that
// came by proof anew; where nothing came it does not.
func TestSegmentsSinceTheNote(t *testing.T) {
	for _, now := range []int{2, 3} {
		h := newView(1, profile, peersSeen)
		id := h.IDs()[0]
		guest := h.Holders(id)[0]
		s := h.groups[id].at(guest.Peer, guest.Slot)
		s.drawn, s.proven = false, true
		h.Grant(id, true, 2)
		h.HeardList(id, guest.Peer, h.Question(id, []protocol.SegmentID{{1}, {2}}, true), nil)
		again := restartLists(t, h, id, guest)
		again = restartLists(t, again, id, guest) // before it has looked at its facts
		again.Grant(id, true, now)
		again.Grant(id, true, 2) // only the first look counts
		s = again.groups[id].at(guest.Peer, guest.Slot)
		if want := now == 2; s.told != want {
			t.Errorf("%d segments, and 2 noted: told %v", now, s.told)
		}
	}
}

// A list for which there is no room is left out whole.
func TestLongListsAreNotNoted(t *testing.T) {
	widest := protocol.Profile{K: 1, R: 2, N: protocol.MaxShards}
	h := newView(1, widest, peersSeen)
	id := h.IDs()[0]
	all := h.Holders(id)
	for i, o := range all {
		g := h.groups[id]
		s := g.at(o.Peer, o.Slot)
		s.drawn, s.proven = false, true // named by their IDs, which takes most room
		lacks := make(map[protocol.SegmentID]bool)
		for j := range maxSegmentsNoted {
			lacks[protocol.SegmentID{1, byte(j)}] = true
		}
		if i == 0 {
			lacks[protocol.SegmentID{2}] = true
		}
		h.HeardList(id, o.Peer, h.Question(id, nil, true), nil)
		for seg := range lacks {
			h.addLack(g, s, seg)
		}
	}
	again := restartLists(t, h, id, all...)
	for i, o := range all {
		s := again.groups[id].at(o.Peer, o.Slot)
		if want := i > 0; s.told != want || want && len(s.lacks) != maxSegmentsNoted {
			t.Fatalf("%d: told %v, lacks %d", i, s.told, len(s.lacks))
		}
	}
}

// However many hold one slot, the note can be stored and read.
func TestCrowdedListsAreNoted(t *testing.T) {
	h := newView(1, protocol.Profile{K: 1, R: 2, N: protocol.MaxShards}, peersSeen)
	id := h.IDs()[0]
	g := h.groups[id]
	for slot := range protocol.MaxShards {
		for i := range seatsPerSlot {
			if s := h.sit(g, idFor(1<<22+slot*seatsPerSlot+i), slot, nil); s != nil {
				s.proven, s.told = true, true
			}
		}
	}
	if len(h.Members(id)) < 2*maxListsNoted {
		t.Fatalf("only %d hold it", len(h.Members(id)))
	}
	restartLists(t, h, id)
}

// Who lacks a segment that is no longer granted is forgotten; after a new segment the
// holders that came by proof are asked again.
func TestLacksFollowGrants(t *testing.T) {
	h := newView(1, profile, peersSeen)
	id := h.IDs()[0]
	drawn, guest := h.Holders(id)[0], h.Holders(id)[1]
	s := h.groups[id].at(guest.Peer, guest.Slot)
	s.drawn, s.proven = false, true
	segs := []protocol.SegmentID{{1}, {2}}
	for _, o := range []Holder{drawn, guest} {
		h.HeardList(id, o.Peer, h.Question(id, segs, true), map[protocol.SegmentID]bool{{1}: true, {2}: true})
	}
	h.KeepLacks(id, segs[1:])
	if !maps.Equal(s.lacks, map[protocol.SegmentID]struct{}{{2}: {}}) || h.lacks.Total() != 2 {
		t.Errorf("lacks %v, %d in all", s.lacks, h.lacks.Total())
	}
	before := h.Question(id, segs, true)
	h.Granted(id)
	if s.told || s.listed || !h.HasTold(id, drawn.Peer, drawn.Slot) {
		t.Error("not those that came by proof are asked again")
	}
	h.HeardList(id, guest.Peer, before, nil)
	if s.told {
		t.Error("an answer of before tells of what came since")
	}
	h.HeardList(id, guest.Peer, h.Question(id, segs, false), nil)
	if s.told || !h.HasListed(id, guest.Peer, guest.Slot) {
		t.Error("what is held here is taken for all that is granted")
	}
	h.HeardList(id, guest.Peer, h.Question(id, segs, true), nil)
	h.HeardList(id, guest.Peer, h.Question(id, segs, false), nil)
	if !s.told {
		t.Error("a part makes the whole forgotten")
	}
}

// restartLists returns a view that has of a group's lists what the other notes,
// with the same guests.
func restartLists(t *testing.T, h *Register, id protocol.GroupID, guests ...Holder) *Register {
	t.Helper()
	f, err := h.groups[id].noteLists(time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Bytes) > storage.MaxFact {
		t.Fatalf("%d bytes, over %d", len(f.Bytes), storage.MaxFact)
	}
	n, err := parseListsNote(f.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	again := newView(1, h.groups[id].profile, peersSeen)
	for _, o := range guests {
		s := again.groups[id].at(o.Peer, o.Slot)
		s.drawn, s.proven = false, true
	}
	again.restoreLists(again.groups[id], n)
	return again
}
