package node

import (
	"context"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
)

// hearLists learns which of a question's segments a member has, by the
// digests of its reply; where these differ, by the names in those buckets. A
// member without digests says nothing: told is false. What it says counts only
// against itself.
func (n *Node) hearLists(ctx context.Context, t *conversation, id protocol.GroupID, of peer.ID, q neighbours.Question, digests []byte) (told bool, err error) {
	if len(digests) == 0 {
		return false, nil
	}
	buckets, differ := truth.DifferingLists(q.Among, digests)
	listed, err := n.listSegments(ctx, t, id, of, buckets)
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

// listSegments returns the names of a member's segments in some buckets.
func (n *Node) listSegments(ctx context.Context, t *conversation, id protocol.GroupID, of peer.ID, buckets []int) (map[protocol.SegmentID]bool, error) {
	names := make(map[protocol.SegmentID]bool)
	for len(buckets) > 0 {
		m, err := t.have(ctx, n, of, &protocol.HaveRequest{Group: id, Segments: buckets})
		if err != nil {
			return nil, err
		}
		if m.SegmentsDone <= 0 || m.SegmentsDone > len(buckets) {
			return nil, protocol.Refuse(protocol.CodeMalformed, "the member lists no bucket that it was asked for")
		}
		before := len(names)
		for _, s := range m.Segments {
			names[s] = true
		}
		t.moved((len(names) - before) * nameSize)
		if len(names) > protocol.MaxGroupSegments {
			return nil, errInvented
		}
		buckets = buckets[m.SegmentsDone:]
	}
	return names, nil
}

// listOf asks a member a question; told is false where it does not say.
func (n *Node) listOf(ctx context.Context, id protocol.GroupID, of peer.ID, q neighbours.Question) (told bool, err error) {
	t := &conversation{hearSlack}
	have, err := t.have(ctx, n, of, &protocol.HaveRequest{Group: id})
	if err != nil {
		return false, err
	}
	return n.hearLists(ctx, t, id, of, q, have.SegmentDigests)
}

// askLacking asks a holder about the segments that it said it lacks: it may have
// got them since, from their owner or by mending its own.
func (n *Node) askLacking(ctx context.Context, id protocol.GroupID, of peer.ID, slot int) {
	named := n.neighbours.LackedBy(id, of, slot, protocol.MaxGroupSegments)
	if len(named) == 0 {
		return
	}
	held, _ := n.askNamed(ctx, &conversation{exchangeTimeout}, id, of, named)
	for i, has := range held {
		if has {
			n.neighbours.Got(id, of, slot, named[i])
		}
	}
}

// namedAtOnce bounds the segments that are named in one question. A peer that reads no
// faster than it must takes 2 s for that many names; all that a group can have would
// take it longer than a question may.
const namedAtOnce = 1024

// askNamed asks a peer which of some segments it has. Where it fails, held is what it
// said before, of the first of them.
func (n *Node) askNamed(ctx context.Context, t *conversation, id protocol.GroupID, of peer.ID, named []protocol.SegmentID) (held []bool, err error) {
	for part := range slices.Chunk(named, namedAtOnce) {
		m, err := t.have(ctx, n, of, &protocol.HaveRequest{Group: id, Named: part})
		if err != nil {
			return held, err
		}
		t.moved(len(part) * nameSize)
		held = append(held, m.Held...)
	}
	return held, nil
}
