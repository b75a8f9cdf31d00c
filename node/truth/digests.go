package truth

import (
	"bytes"
	"iter"
	"slices"

	"github.com/cairnstore/cairn/protocol"
)

// digestKind tells the two kinds of names that Have compares.
type digestKind int

const (
	digestFacts digestKind = iota
	digestSegments
)

// listRoom is how many names one reply holds besides digests and answers: each
// takes 34 bytes of a page of 256 KiB, and no list more elements than decoders
// allow.
const listRoom = 6000

// Have answers which of the named segments are held and, where the asker may see
// lists, the digests and lists that it asked for. Unless judged, it tells of no
// segment but those named whether it is held. The caller has the turn.
func (g *Group) Have(r *protocol.HaveRequest, lists, judged bool) *protocol.HaveReply {
	g.mu.Lock()
	defer g.mu.Unlock()
	reply := new(protocol.HaveReply)
	for _, s := range r.Named {
		reply.Held = append(reply.Held, g.holdsLocked(s))
	}
	if !lists {
		return reply
	}
	if reply.Same = judged && len(r.Root) > 0 && bytes.Equal(r.Root, g.digestsRoot()); !reply.Same {
		reply.FactDigests = g.digestsOf(digestFacts)
		if judged {
			reply.SegmentDigests = g.digestsOf(digestSegments)
		}
	}
	room := listRoom
	reply.Facts, reply.FactsDone = fillPage(g.buckets(digestFacts, r.Facts), r.Facts, &room)
	names, done := fillPage(g.buckets(digestSegments, r.Segments), r.Segments, &room)
	reply.SegmentsDone = done
	for _, h := range names {
		reply.Segments = append(reply.Segments, protocol.SegmentID(h))
	}
	return reply
}

// fillPage lists whole buckets, as many as have room. A bucket that no page
// has room for is cut, so that the asker gets on.
func fillPage(buckets map[int][]protocol.Hash, asked []int, room *int) (names []protocol.Hash, done int) {
	for _, b := range asked {
		list := buckets[b]
		if len(list) > *room && *room < listRoom {
			break
		}
		list = list[:min(len(list), *room)]
		*room -= len(list)
		names = append(names, list...)
		done++
	}
	return names, done
}

// buckets returns the sorted names in the buckets asked for. mu is held.
func (g *Group) buckets(k digestKind, asked []int) map[int][]protocol.Hash {
	if len(asked) == 0 {
		return nil
	}
	out := make(map[int][]protocol.Hash, len(asked))
	for _, b := range asked {
		out[b] = nil
	}
	for h := range g.names(k) {
		if list, ok := out[int(h[0])]; ok {
			out[int(h[0])] = append(list, h)
		}
	}
	for _, list := range out {
		slices.SortFunc(list, protocol.CompareIDs)
	}
	return out
}

// names yields all names of a kind: of the facts that count, or of the
// segments held. mu is held.
func (g *Group) names(k digestKind) func(func(protocol.Hash) bool) {
	return func(yield func(protocol.Hash) bool) {
		if k == digestFacts {
			for h := range g.ids {
				if !yield(h) {
					return
				}
			}
			return
		}
		for s := range g.held {
			if g.holdsLocked(s) && !yield(protocol.Hash(s)) {
				return
			}
		}
	}
}

// digestsOf returns Buckets digests: BLAKE3-256 over each bucket's sorted
// names, zero for an empty one. Nobody may change them. mu is held.
func (g *Group) digestsOf(k digestKind) []byte {
	if d := g.digests[k]; d != nil {
		return d
	}
	var lists [protocol.Buckets][]protocol.Hash
	for h := range g.names(k) {
		lists[h[0]] = append(lists[h[0]], h)
	}
	const size = len(protocol.Hash{})
	d := make([]byte, protocol.Buckets*size)
	for i, list := range lists {
		if len(list) > 0 {
			h := digest(list)
			copy(d[i*size:], h[:])
		}
	}
	g.digests[k] = d
	return d
}

// digestsRoot returns protocol.DigestsRoot of both digests. Nobody may change
// it. mu is held.
func (g *Group) digestsRoot() []byte {
	if g.root == nil {
		g.root = protocol.DigestsRoot(g.digestsOf(digestFacts), g.digestsOf(digestSegments))
	}
	return g.root
}

// FactDigests returns the digests of the facts that count. Nobody may change them.
func (g *Group) FactDigests() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.digestsOf(digestFacts)
}

// renamed notes that the names of a kind have changed. mu is held.
func (g *Group) renamed(k digestKind) {
	delete(g.digests, k)
	g.root = nil
}

func digest(names []protocol.Hash) protocol.Hash {
	slices.SortFunc(names, protocol.CompareIDs)
	b := make([]byte, 0, len(names)*len(protocol.Hash{}))
	for i := range names {
		b = append(b, names[i][:]...)
	}
	return protocol.Sum(b)
}

// DifferingLists compares some segments, in order, with a member's digests. It
// returns the buckets that differ, and those of the segments that are in these.
func DifferingLists(among []protocol.SegmentID, digests []byte) (buckets []int, differ []protocol.SegmentID) {
	const size = len(protocol.Hash{})
	for b, here := range bucketsOf(among) {
		// A bucket without any of them tells nothing about them.
		if len(here) > 0 && digestAmong(here) != [size]byte(digests[b*size:]) {
			buckets, differ = append(buckets, b), append(differ, here...)
		}
	}
	return buckets, differ
}

// bucketsOf yields each bucket with those of some segments, in order, that are
// in it.
func bucketsOf(among []protocol.SegmentID) iter.Seq2[int, []protocol.SegmentID] {
	return func(yield func(int, []protocol.SegmentID) bool) {
		at := 0
		for b := range protocol.Buckets {
			begin := at
			for at < len(among) && int(among[at][0]) == b {
				at++
			}
			if !yield(b, among[begin:at]) {
				return
			}
		}
	}
}

// digestsAmong returns the digests of a member that has just these segments, in
// order.
func digestsAmong(segments []protocol.SegmentID) []byte {
	out := make([]byte, 0, protocol.Buckets*len(protocol.Hash{}))
	for _, here := range bucketsOf(segments) {
		d := digestAmong(here)
		out = append(out, d[:]...)
	}
	return out
}

// digestAmong returns the digest of one bucket.
func digestAmong(here []protocol.SegmentID) protocol.Hash {
	if len(here) == 0 {
		return protocol.Hash{}
	}
	names := make([]protocol.Hash, len(here))
	for i, s := range here {
		names[i] = protocol.Hash(s)
	}
	return digest(names)
}

// RootOf returns the protocol.DigestsRoot of a member that has the facts of this state
// and some segments, in order; all says that all of these are held here.
func (g *Group) RootOf(segments []protocol.SegmentID, all bool) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if held := 0; all {
		for range g.names(digestSegments) {
			held++
		}
		if held == len(segments) {
			return g.digestsRoot()
		}
	}
	return protocol.DigestsRoot(g.digestsOf(digestFacts), digestsAmong(segments))
}
