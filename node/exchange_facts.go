package node

import (
	"context"
	"errors"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Bounds of what one comparison moves; the rest is for the next one.
const (
	// mostNames is how many facts a member can truly have of a group: a grant
	// or a delete of each subject, the heads of each pointer, and few others.
	mostNames = protocol.MaxGroupSegments + (1+truth.MaxHeads)*protocol.MaxGroupPointers + 2*protocol.MaxShards
	mostBytes = 8 << 20
)

var errInvented = errors.New("the member lists more facts than a group can have")

// listFacts returns the names of a member's facts in some buckets.
func (n *Node) listFacts(ctx context.Context, t *conversation, g *truth.Group, with peer.ID, buckets []int) (map[protocol.Hash]bool, error) {
	names := make(map[protocol.Hash]bool)
	for len(buckets) > 0 {
		m, err := t.have(ctx, n, with, &protocol.HaveRequest{Group: g.ID, Facts: buckets})
		if err != nil {
			return nil, err
		}
		if m.FactsDone <= 0 || m.FactsDone > len(buckets) {
			return nil, protocol.Refuse(protocol.CodeMalformed, "the member lists no bucket that it was asked for")
		}
		before := len(names)
		for _, h := range m.Facts {
			names[h] = true
		}
		t.moved((len(names) - before) * nameSize)
		if len(names) > mostNames {
			return nil, errInvented
		}
		buckets = buckets[m.FactsDone:]
	}
	return names, nil
}

// fetchFacts asks a member for facts by name and merges them, each after those
// that it depends on; if the member fails, those that came before.
func (n *Node) fetchFacts(ctx context.Context, t *conversation, g *truth.Group, from peer.ID, want []protocol.Hash) error {
	got, failed := n.askForFacts(ctx, t, g, from, want)
	slices.SortStableFunc(got, func(a, b protocol.Fact) int { return truth.Rank(a.Kind) - truth.Rank(b.Kind) })
	for page := range slices.Chunk(got, protocol.MaxFactsPage) {
		codes, err := n.mergeHere(ctx, g, page)
		if err != nil {
			return err
		}
		if i := slices.IndexFunc(codes, isForgery); i >= 0 {
			return protocol.Refuse(protocol.CodeForged, "a fact of kind %d is refused: %v", page[i].Kind, codes[i])
		}
	}
	return failed
}

func (n *Node) askForFacts(ctx context.Context, t *conversation, g *truth.Group, from peer.ID, want []protocol.Hash) (got []protocol.Fact, err error) {
	size := 0
	for len(want) > 0 && size < mostBytes {
		page := want[:min(len(want), protocol.MaxFactsPage)]
		m, err := t.facts(ctx, n, from, &protocol.FactsRequest{Group: g.ID.Prefix(), Want: page})
		if err != nil {
			return got, err
		}
		came, before := make(map[protocol.Hash]bool, len(m.Facts)), size
		for _, f := range m.Facts {
			id := f.ID()
			if !came[id] && slices.Contains(page, id) {
				came[id], size = true, size+len(f.Bytes)
				got = append(got, f)
			}
		}
		t.moved(size - before + len(came)*(nameSize+factOverhead))
		if len(came) == 0 {
			want = want[len(page):] // gone meanwhile
			continue
		}
		want = slices.DeleteFunc(slices.Clone(want), func(h protocol.Hash) bool { return came[h] })
	}
	return got, nil
}

// isForgery reports whether a code is that of a fact that no honest member can have.
func isForgery(c protocol.Code) bool {
	return c == protocol.CodeMalformed || c == protocol.CodeNetwork || c == protocol.CodeForged
}

// mergeHere takes facts into a group that is held, as if they were offered by
// this node itself: they are charged to the group.
func (n *Node) mergeHere(ctx context.Context, g *truth.Group, facts []protocol.Fact) ([]protocol.Code, error) {
	now, release, err := n.groups.OpenTurn(ctx, g.ID)
	if err != nil {
		return nil, n.hideStore("open group", err)
	}
	defer release()
	if !now.IsFounded() {
		return nil, protocol.Refuse(protocol.CodeUnknown, "group %s is held no more", g.ID.Prefix())
	}
	return n.keepOffer(ctx, protocol.Remote{Peer: n.self}, now, facts)
}

// offerFacts offers a member facts that it lacks. For one that it refuses it has a
// better one, or this node will find out.
func (n *Node) offerFacts(ctx context.Context, t *conversation, g *truth.Group, to peer.ID, lacks []protocol.Hash) error {
	facts, err := n.readFacts(ctx, g, lacks)
	if err != nil {
		return err
	}
	for len(facts) > 0 {
		page := &factPage{room: replyRoom}
		for _, f := range facts {
			if !page.add(f) {
				break
			}
		}
		if _, err := t.facts(ctx, n, to, &protocol.FactsRequest{Group: g.ID.Prefix(), Offer: page.facts}); err != nil {
			return err
		}
		t.moved(replyRoom - page.room)
		facts = facts[len(page.facts):]
	}
	return nil
}

// readFacts reads facts that count here from the store, in the order in which
// they depend on each other.
func (n *Node) readFacts(ctx context.Context, g *truth.Group, ids []protocol.Hash) ([]protocol.Fact, error) {
	var out []protocol.Fact
	size := 0
	for _, id := range ids {
		if !g.Knows(id) || size >= mostBytes {
			continue
		}
		f, err := n.store.Fact(ctx, g.ID, id)
		switch {
		case errors.Is(err, storage.ErrNotFound) || n.damaged(g.ID, err):
		case err != nil:
			return nil, n.hideStore("read a fact", err)
		case !note.Is(f.Kind):
			size += len(f.Bytes)
			out = append(out, fromStore(f))
		}
	}
	slices.SortStableFunc(out, func(a, b protocol.Fact) int { return truth.Rank(a.Kind) - truth.Rank(b.Kind) })
	return out, nil
}
