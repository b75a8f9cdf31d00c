package node

import (
	"bytes"
	"context"
	"slices"

	"github.com/cairnstore/cairn/protocol"
)

// digestKind tells the two kinds of names that Have compares.
type digestKind int

const (
	digestFacts digestKind = iota
	digestSegments
)

// listRoom is how many names one reply holds beside digests and answers: each
// takes 34 bytes of a page of 256 KiB, and no list more elements than decoders
// allow.
const listRoom = 6000

// Have says what this node has of a group: digests and lists to who may see
// them, yes or no about named segments to anybody.
func (n *Node) Have(ctx context.Context, from protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	g, release, err := n.groups.openTurn(ctx, r.Group) // so that only durable facts are told
	if err != nil {
		return nil, n.hideStore("open group", err)
	}
	defer release()
	denied := n.mayList(g, from, r.Proof)
	lists := denied == nil
	if !lists && (protocol.CodeOf(denied) == protocol.CodeNotFound || len(r.Proof) > 0 || len(r.Facts)+len(r.Segments) > 0) {
		return nil, denied // yes or no about named segments is all that is left to a stranger
	}
	reply := new(protocol.HaveReply)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range r.Named {
		reply.Held = append(reply.Held, g.holdsLocked(s))
	}
	if !lists {
		return reply, nil
	}
	// What a node that was away holds may be deleted, and what it lacks told to
	// it meanwhile: only the owner may judge by that.
	truth := len(r.Proof) > 0 || !n.exchange.isStale(g.id)
	if !truth && len(r.Segments) > 0 {
		return nil, protocol.Refuse(protocol.CodeUnavailable, "this node was away and has not heard all members yet")
	}
	if reply.Same = truth && len(r.Root) > 0 && bytes.Equal(r.Root, g.digestsRoot()); !reply.Same {
		reply.FactDigests = g.digestsOf(digestFacts)
		if truth {
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
	return reply, nil
}

// fillPage lists whole buckets, as many as have room. A bucket that no page
// has room for is cut, so that whoever asks gets on.
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
func (g *groupState) buckets(k digestKind, asked []int) map[int][]protocol.Hash {
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
func (g *groupState) names(k digestKind) func(func(protocol.Hash) bool) {
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
func (g *groupState) digestsOf(k digestKind) []byte {
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
func (g *groupState) digestsRoot() []byte {
	if g.root == nil {
		g.root = protocol.DigestsRoot(g.digestsOf(digestFacts), g.digestsOf(digestSegments))
	}
	return g.root
}

// renamed notes that there are other names of a kind. mu is held.
func (g *groupState) renamed(k digestKind) {
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
