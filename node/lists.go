package node

import (
	"context"
	"iter"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
)

// grantedSegments lists the segments that a group's members shall have, in
// order, and those of them whose shards are not sound here.
func (g *groupState) grantedSegments() (granted, lacked []protocol.SegmentID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for subject := range g.grants {
		if len(subject) != len(protocol.SegmentID{}) {
			continue // a pointer
		}
		s := protocol.SegmentID([]byte(subject))
		granted = append(granted, s)
		if !g.holdsLocked(s) {
			lacked = append(lacked, s)
		}
	}
	slices.SortFunc(granted, protocol.CompareIDs)
	return granted, lacked
}

// hearLists learns which of a question's segments a member has, by the
// digests of its reply; where these differ, by the names in those buckets. A
// member without digests says nothing: told is false. What it says counts
// against itself alone.
func (n *Node) hearLists(ctx context.Context, id protocol.GroupID, of peer.ID, q neighbours.Question, digests []byte) (told bool, err error) {
	if len(digests) == 0 {
		return false, nil
	}
	buckets, differ := differingLists(q.Among, digests)
	listed, err := n.listSegments(ctx, id, of, buckets)
	if err != nil {
		return false, err
	}
	lacks := make(map[protocol.SegmentID]bool)
	for _, s := range differ {
		if !listed[s] {
			lacks[s] = true
		}
	}
	n.neighbours.HeardList(id, of, q, lacks)
	return true, nil
}

// differingLists returns the buckets in which some segments, in order, are not
// what a member's digests are of, and the segments in these.
func differingLists(among []protocol.SegmentID, digests []byte) (buckets []int, differ []protocol.SegmentID) {
	const size = len(protocol.Hash{})
	for b, here := range bucketsOf(among) {
		// Of a bucket without any of them nothing is to be learnt.
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

// listSegments returns the names of a member's segments in some buckets.
func (n *Node) listSegments(ctx context.Context, id protocol.GroupID, of peer.ID, buckets []int) (map[protocol.SegmentID]bool, error) {
	names := make(map[protocol.SegmentID]bool)
	for len(buckets) > 0 {
		m, err := n.askHave(ctx, of, &protocol.HaveRequest{Group: id, Segments: buckets})
		if err != nil {
			return nil, err
		}
		if m.SegmentsDone <= 0 || m.SegmentsDone > len(buckets) {
			return nil, protocol.Refuse(protocol.CodeMalformed, "the member lists no bucket that it was asked for")
		}
		for _, s := range m.Segments {
			names[s] = true
		}
		if len(names) > protocol.MaxGroupSegments {
			return nil, errInvented
		}
		buckets = buckets[m.SegmentsDone:]
	}
	return names, nil
}

// listOf asks a member a question; told is false where it does not say.
func (n *Node) listOf(ctx context.Context, id protocol.GroupID, of peer.ID, q neighbours.Question) (told bool, err error) {
	have, err := n.askHave(ctx, of, &protocol.HaveRequest{Group: id})
	if err != nil {
		return false, err
	}
	return n.hearLists(ctx, id, of, q, have.SegmentDigests)
}

// askLacking asks a holder about the segments that it said it lacks: it may have
// got them since, from their owner or by mending its own.
func (n *Node) askLacking(ctx context.Context, id protocol.GroupID, of peer.ID, slot int) {
	named := n.neighbours.LackedBy(id, of, slot, protocol.MaxGroupSegments)
	if len(named) == 0 {
		return
	}
	have, err := n.askHave(ctx, of, &protocol.HaveRequest{Group: id, Named: named})
	if err != nil || len(have.Held) != len(named) {
		return
	}
	for i, s := range named {
		if have.Held[i] {
			n.neighbours.Got(id, of, slot, s)
		}
	}
}
