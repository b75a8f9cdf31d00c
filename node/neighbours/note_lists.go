package neighbours

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// What holders say that they lack is noted next to a group, as its seats are.
// Without that, a node that has just started would count a holder that never got a
// segment among those that have it, and see no need of repair, until it has asked
// each holder again.

// listsNote is what the holders of a group have said that they lack.
type listsNote struct {
	V        int                  `cbor:"v"`
	At       int64                `cbor:"at"`      // milliseconds on the watch; of several notes the latest counts
	Granted  int                  `cbor:"granted"` // segments that the holders are to have
	Segments []protocol.SegmentID `cbor:"segments"`
	Holders  []listNote           `cbor:"holders"`
}

// listNote is one holder's list.
type listNote struct {
	_     struct{} `cbor:",toarray"`
	Slot  int
	Peer  []byte // empty: the peer that the table names
	Told  bool   // what it said is up to date; else it is to be asked again
	Lacks []byte // a bit for each of the note's segments, the lowest first; no zeros at the end
}

// Together they keep a note within storage.MaxFact: 34 bytes a segment, and at
// most 70 a holder.
const (
	maxListsNoted    = protocol.MaxShards
	maxSegmentsNoted = 192
	maxListNoted     = maxSegmentsNoted / 8 // bytes
)

// noteLists writes down what a group's holders lack, those with the shortest lists
// first: a list is noted whole or not at all. mu is held.
func (g *seats) noteLists(at time.Duration) (storage.Fact, error) {
	var known []*seat
	for i := range g.list {
		if s := &g.list[i]; s.counts() && (s.told || len(s.lacks) > 0) {
			known = append(known, s)
		}
	}
	slices.SortFunc(known, func(a, b *seat) int {
		return cmp.Or(cmp.Compare(len(a.lacks), len(b.lacks)), cmp.Compare(a.slot, b.slot), strings.Compare(string(a.who.id), string(b.who.id)))
	})
	named := make(map[protocol.SegmentID]struct{})
	known = slices.DeleteFunc(known, func(s *seat) bool { return !fitsIn(named, s.lacks) })
	known = known[max(0, len(known)-maxListsNoted):] // one that lacks nothing counts the same without a note
	n := listsNote{V: viewVersion, At: ms(at), Granted: g.keeps, Segments: slices.SortedFunc(maps.Keys(named), protocol.CompareIDs), Holders: []listNote{}}
	if g.noted >= 0 {
		n.Granted = g.noted
	}
	if n.Segments == nil {
		n.Segments = []protocol.SegmentID{}
	}
	for _, s := range known {
		n.Holders = append(n.Holders, s.noteList(n.Segments))
	}
	return note.New(g.id, note.Lists, n)
}

// fitsIn adds the segments of one list to those that are named, if there is room
// for all of them.
func fitsIn(named, list map[protocol.SegmentID]struct{}) bool {
	fresh := 0
	for seg := range list {
		if _, is := named[seg]; !is {
			fresh++
		}
	}
	if len(named)+fresh > maxSegmentsNoted {
		return false
	}
	maps.Copy(named, list)
	return true
}

func (s *seat) noteList(of []protocol.SegmentID) listNote {
	l := listNote{Slot: int(s.slot), Peer: []byte{}, Told: s.told, Lacks: []byte{}}
	if !s.drawn {
		l.Peer = []byte(s.who.id)
	}
	for i, seg := range of {
		if _, lacks := s.lacks[seg]; lacks {
			l.Lacks = append(l.Lacks, make([]byte, i/8+1-len(l.Lacks))...)
			l.Lacks[i/8] |= 1 << (i % 8)
		}
	}
	return l
}

func parseListsNote(b []byte) (*listsNote, error) {
	n := new(listsNote)
	if err := protocol.Decode("note of lists", b, n); err != nil {
		return nil, err
	}
	bad := n.V != viewVersion || outOfTime(n.At) || n.Granted < 0 || len(n.Segments) > maxSegmentsNoted || len(n.Holders) > maxListsNoted
	for _, l := range n.Holders {
		bad = bad || l.Slot < 0 || l.Slot >= protocol.MaxShards || len(l.Peer) > 0 && peer.ID(l.Peer).Validate() != nil ||
			len(l.Lacks) > maxListNoted
	}
	if bad {
		return nil, protocol.Refuse(protocol.CodeMalformed, "note of lists: a number is out of range")
	}
	return n, nil
}

// restoreLists takes a note of what a group's holders lack, after that of its
// seats. mu is held.
func (h *Register) restoreLists(g *seats, n *listsNote) {
	if !h.running {
		h.watch.Now = max(h.watch.Now, fromMS(n.At))
	}
	whole := true
	for _, l := range n.Holders {
		s := g.drawnAt(l.Slot)
		if len(l.Peer) > 0 {
			s = g.at(peer.ID(l.Peer), l.Slot)
		}
		if s == nil || !s.counts() {
			continue
		}
		s.listed, s.told = l.Told, l.Told
		for i, seg := range n.Segments {
			if i/8 < len(l.Lacks) && l.Lacks[i/8]>>(i%8)&1 != 0 && !h.addLack(g, s, seg) {
				s.listed, s.told, whole = false, false, false
			}
		}
	}
	g.noted, g.relisted = n.Granted, !whole
}
