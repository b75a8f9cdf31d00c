package client

import (
	"context"
	"errors"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// challengeSegment asks every holder of a segment for a leaf that it cannot
// foresee.
func (c *Client) challengeSegment(ctx context.Context, e *protocol.Extent, k *check) segmentHealth {
	src, err := c.source(ctx, e, nil)
	if err != nil {
		return segmentHealth{err: err}
	}
	s := segmentHealth{group: src.group}
	d, err := src.describe(ctx, e)
	if err != nil {
		s.err = err
		return s
	}
	k.once(src.group, func() { c.locator().survey(ctx, src.group, e) })
	s.slots = make([]shown, d.N)
	var wg sync.WaitGroup
	for slot := range s.slots {
		wg.Go(func() { s.slots[slot] = c.challengeSlot(ctx, src, d, slot, k) })
	}
	wg.Wait()
	return s
}

var errVacantSlot = errors.New("the slot is vacant")

// challengeWidth is how many of the peers that may hold a slot are asked at a time,
// after the first has had half a second to itself. A slow one leaves its place to
// another.
const challengeWidth = 16

// challengeSlot asks the peers that may hold a slot, the likeliest first, until one
// shows its leaf.
func (c *Client) challengeSlot(ctx context.Context, src *source, d *protocol.Descriptor, slot int, k *check) shown {
	ids := c.peers.upFirst(src.group.holders(slot))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	turns, end := newGrowingGate(challengeWidth, 1, slowAsk)
	defer end()
	all, asked := make([]shown, len(ids)), 0
	var wg sync.WaitGroup
	for i, id := range ids {
		leave, ok := turns.enter(ctx)
		if !ok {
			break
		}
		asked++
		wg.Go(func() {
			defer leave()
			if all[i] = (shown{id, c.challenge(ctx, src, d, slot, id, k)}); all[i].err == nil {
				cancel()
			}
		})
	}
	wg.Wait()
	return firstProved(all[:asked])
}

// firstProved returns what was shown by the first peer that met its challenge, else
// by the last.
func firstProved(all []shown) shown {
	s := shown{err: errVacantSlot}
	for _, s = range all {
		if s.err == nil {
			break
		}
	}
	return s
}

// challenge asks one holder for a random leaf of its shard.
func (c *Client) challenge(ctx context.Context, src *source, d *protocol.Descriptor, slot int, id peer.ID, k *check) error {
	if err := k.silence(id); err != nil {
		return err
	}
	leaf, err := c.draw(uint64(protocol.Leaves(d.ShardSize)))
	if err != nil {
		return err
	}
	off, length := protocol.AlignRange(int64(leaf)*protocol.LeafSize, 1, d.ShardSize)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	begun := c.now()
	req := &protocol.GetRequest{Segment: src.ext.Segment, Slot: slot, Offset: off, Length: length, Proof: src.proof}
	_, raw, err := c.call.Get(ctx, id, req, nil, protocol.SliceSize(length, d.ShardSize))
	c.noteAsk(ctx, id, begun, err)
	if err != nil {
		if !isRefusal(err) && !errors.Is(context.Cause(ctx), context.Canceled) {
			k.note(id, err)
		}
		return err
	}
	if _, err = protocol.VerifySlice(raw, off, length, d.ShardSize, d.Roots[slot]); err == nil {
		k.note(id, nil)
		src.group.prove(id)
	}
	return err
}
