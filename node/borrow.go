package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/erasure"
)

// rebuild makes one slot's shard from k others and checks it against its root.
func rebuild(d *protocol.Descriptor, shards [][]byte, slot int) (data, outboard []byte, err error) {
	code, err := erasure.New(d.K, d.N)
	if err != nil {
		return nil, nil, err
	}
	want := make([]bool, d.N)
	want[slot] = true
	if err := code.Reconstruct(shards, want); err != nil {
		return nil, nil, err
	}
	outboard, root := protocol.Outboard(shards[slot])
	if root != d.Roots[slot] {
		return nil, nil, fmt.Errorf("slot %d: %w", slot, errInconsistent)
	}
	return shards[slot], outboard, nil
}

// lenders returns the holders that may have a segment's other shards, in random
// order.
func (n *Node) lenders(g protocol.GroupID, key storage.ShardKey) []neighbours.Holder {
	var out []neighbours.Holder
	for _, h := range n.neighbours.Holders(g) {
		if h.Member && h.State == liveness.Present && h.Slot != int(key.Slot) && !n.stalledNow(h.Peer) && !n.neighbours.Lacked(g, h.Peer, h.Slot, key.Segment) {
			out = append(out, h)
		}
	}
	n.rand.shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return n.lendersFirst(out)
}

// borrowing is the fetching of co-members' shards of one segment.
type borrowing struct {
	*Node
	group  protocol.GroupID
	key    storage.ShardKey
	size   int64                // bytes that a shard has at most
	d      *protocol.Descriptor // nil: not known yet
	desc   []byte
	shards [][]byte // by slot
}

// describe reads the segment's descriptor, which may be damaged, too: then
// co-members tell it.
func (b *borrowing) describe(ctx context.Context) {
	sh, err := b.store.OpenShard(ctx, b.key)
	if err != nil {
		return
	}
	defer func() { _ = sh.Close() }()
	b.know(bytes.Clone(sh.Descriptor()))
}

// know takes a descriptor, if it is the segment's.
func (b *borrowing) know(desc []byte) {
	d, err := protocol.OpenDescriptor(desc, b.key.Segment)
	if err == nil && int(b.key.Slot) < d.N && d.ShardSize <= b.size {
		b.d, b.desc, b.shards = d, desc, make([][]byte, d.N)
	}
}

// fetch gets k shards of different slots, each verified, within one deadline for
// all of them.
func (b *borrowing) fetch(ctx context.Context, k int) error {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout(int64(k)*b.size))
	defer cancel()
	got, asked := 0, false
	for _, h := range b.lenders(b.group, b.key) {
		if got == k || ctx.Err() != nil {
			break
		}
		if b.d != nil && (h.Slot >= b.d.N || b.shards[h.Slot] != nil) {
			continue
		}
		err := b.from(ctx, h)
		if err == nil {
			got++
			continue
		}
		asked = asked || errors.Is(err, protocol.ErrUnavailable)
		b.log.Debug("a co-member lends no shard", "peer", protocol.ShortPeer(h.Peer), "segment", b.key.Segment, "err", err)
	}
	switch {
	case got == k:
		return nil
	case asked:
		return errMendAsked
	}
	return fmt.Errorf("%d of %d shards: %w", got, k, errTooFewLend)
}

// from fetches one holder's shard.
func (b *borrowing) from(ctx context.Context, h neighbours.Holder) error {
	r := &protocol.MendRequest{
		Group: b.group, Segment: b.key.Segment, Slot: h.Slot, Purpose: protocol.PurposeMending, Descriptor: b.d == nil,
	}
	var m *protocol.GetReply
	var raw []byte
	err := b.moveShard(ctx, h.Peer, b.size, func(ctx context.Context) (err error) {
		m, raw, err = b.caller.Mend(ctx, h.Peer, r, func(size int64) []byte { return make([]byte, size) }, b.size)
		return err
	})
	if err != nil {
		return err
	}
	b.mending.fetched(len(raw))
	if b.d == nil {
		b.know(m.Descriptor)
	}
	if b.d == nil || h.Slot >= b.d.N {
		return protocol.ErrForged
	}
	if _, root := protocol.Outboard(raw); root != b.d.Roots[h.Slot] {
		return protocol.ErrForged
	}
	b.shards[h.Slot] = raw
	return nil
}
