package node

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// What holders lack by their own word is noted beside a group, as its seats are:
// else a node counts, after each start, who never got a segment among those that
// hold it, until it has asked each holder again, and sees no need of repair. Who
// is not in the note has yet to say what it has.

// listsNote is what the holders of a group lack that have said so.
type listsNote struct {
	V        int                  `cbor:"v"`
	At       int64                `cbor:"at"` // milliseconds on the watch; of several notes the latest counts
	Segments []protocol.SegmentID `cbor:"segments"`
	Holders  []listNote           `cbor:"holders"`
}

// listNote is one holder's list.
type listNote struct {
	_     struct{} `cbor:",toarray"`
	Slot  int
	Peer  []byte // empty: whom the table names
	Lacks []byte // a bit for each of the note's segments, the lowest first; no zeros at the end
}

// Together they keep a note within storage.MaxFact: 34 bytes a segment, and at
// most 69 a holder, of which each slot has one.
const (
	maxSegmentsNoted = 192
	maxListNoted     = maxSegmentsNoted / 8 // bytes
)

// noteLists writes down what a group's holders lack, those of the shortest lists
// first: a list is noted whole or not at all. mu is held.
func (g *seats) noteLists(at time.Duration) (storage.Fact, error) {
	var told []*seat
	for i := range g.list {
		if s := &g.list[i]; s.told && s.counts() {
			told = append(told, s)
		}
	}
	slices.SortFunc(told, func(a, b *seat) int {
		return cmp.Or(cmp.Compare(len(a.lacks), len(b.lacks)), cmp.Compare(a.slot, b.slot), strings.Compare(string(a.who.id), string(b.who.id)))
	})
	named := make(map[protocol.SegmentID]struct{})
	for i, s := range told {
		fresh := 0
		for seg := range s.lacks {
			if _, known := named[seg]; !known {
				fresh++
			}
		}
		if len(named)+fresh > maxSegmentsNoted {
			told = told[:i]
			break
		}
		maps.Copy(named, s.lacks)
	}
	n := listsNote{V: viewVersion, At: ms(at), Segments: slices.SortedFunc(maps.Keys(named), func(a, b protocol.SegmentID) int { return compareHash(protocol.Hash(a), protocol.Hash(b)) }), Holders: []listNote{}}
	if n.Segments == nil {
		n.Segments = []protocol.SegmentID{}
	}
	for _, s := range told {
		n.Holders = append(n.Holders, s.noteList(n.Segments))
	}
	return note(g.id, noteLists, n)
}

func (s *seat) noteList(of []protocol.SegmentID) listNote {
	l := listNote{Slot: int(s.slot), Peer: []byte{}, Lacks: []byte{}}
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
	bad := n.V != viewVersion || outOfTime(n.At) || len(n.Segments) > maxSegmentsNoted || len(n.Holders) > protocol.MaxShards
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
func (h *neighbours) restoreLists(g *seats, n *listsNote) {
	for _, l := range n.Holders {
		s := g.drawnAt(l.Slot)
		if len(l.Peer) > 0 {
			s = g.at(peer.ID(l.Peer), l.Slot)
		}
		if s == nil || !s.counts() {
			continue
		}
		s.told = true
		for i, seg := range n.Segments {
			if i/8 < len(l.Lacks) && l.Lacks[i/8]>>(i%8)&1 != 0 {
				h.addLack(g, s, seg)
			}
		}
	}
	g.relisted = false
}
