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
func (c *Client) challengeSegment(ctx context.Context, e *protocol.Extent, asked *surveys) segmentHealth {
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
	asked.once(src.group, func() { c.locator().survey(ctx, src.group, e) })
	s.slots = make([]shown, d.N)
	var wg sync.WaitGroup
	for slot := range s.slots {
		wg.Go(func() { s.slots[slot] = c.challengeSlot(ctx, src, d, slot) })
	}
	wg.Wait()
	return s
}

var errVacantSlot = errors.New("the slot is vacant")

// challengeSlot asks those who may hold a slot, one after another, until one
// shows its leaf.
func (c *Client) challengeSlot(ctx context.Context, src *source, d *protocol.Descriptor, slot int) shown {
	s := shown{err: errVacantSlot}
	for _, id := range c.peers.upFirst(src.group.holders(slot)) {
		s = shown{id, c.challenge(ctx, src, d, slot, id)}
		if s.err == nil {
			src.group.prove(id)
			break
		}
	}
	return s
}

// challenge asks one holder for a random leaf of its shard.
func (c *Client) challenge(ctx context.Context, src *source, d *protocol.Descriptor, slot int, id peer.ID) error {
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
		return err
	}
	_, err = protocol.VerifySlice(raw, off, length, d.ShardSize, d.Roots[slot])
	return err
}
