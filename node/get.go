package node

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Get serves a shard, or the slice that proves a range of one, to a peer that
// has a read proof.
func (n *Node) Get(ctx context.Context, from protocol.Remote, r *protocol.GetRequest) (*protocol.GetReply, []byte, func(), error) {
	sh, err := n.openShard(ctx, r.Segment, r.Slot)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { _ = sh.Close() }()
	desc := sh.Descriptor()
	d, err := n.mayRead(from, r.Segment, desc, r.Proof)
	if err != nil {
		return nil, nil, nil, err
	}
	info := sh.Info()
	if n.frees.has(kin{info.Group, r.Segment}) {
		return nil, nil, nil, protocol.Refuse(protocol.CodeDeleted, "segment %s", r.Segment)
	}
	reply := &protocol.GetReply{Slot: int(info.Key.Slot)}
	if r.Descriptor {
		reply.Descriptor = desc
	}
	raw, release, err := n.readBody(ctx, from, sh, d, r)
	if err != nil {
		return nil, nil, nil, err
	}
	reply.Length = int64(len(raw))
	n.count.gets.Add(1)
	n.count.sent.Add(reply.Length)
	return reply, raw, release, nil
}

// openShard finds a segment's shard on this disk.
func (n *Node) openShard(ctx context.Context, s protocol.SegmentID, slot int) (storage.ShardReader, error) {
	key := storage.ShardKey{Segment: s, Slot: uint8(slot)}
	if slot == protocol.AnySlot {
		var err error
		if key, err = n.store.Find(ctx, s); err != nil {
			return nil, n.hideStore("find shard", err)
		}
	}
	sh, err := n.store.OpenShard(ctx, key)
	if err != nil {
		return nil, n.hideStore("open shard", err)
	}
	return sh, nil
}

// mayRead checks a read proof against the descriptor held here.
func (n *Node) mayRead(from protocol.Remote, s protocol.SegmentID, desc, proof []byte) (*protocol.Descriptor, error) {
	d, err := protocol.OpenDescriptor(desc, s)
	if err != nil {
		n.log.Error("a descriptor on disk is damaged", "segment", s, "err", err)
		return nil, protocol.Refuse(protocol.CodeCorrupt, "descriptor of %s", s)
	}
	return d, protocol.CheckRead(n.cfg.Network, s, d, from.Peer, proof)
}

// readBody reads the whole shard, or cuts a slice, within the memory that the
// gate allows. Bytes that are not as they were stored are not served.
func (n *Node) readBody(ctx context.Context, from protocol.Remote, sh storage.ShardReader, d *protocol.Descriptor, r *protocol.GetRequest) ([]byte, func(), error) {
	size := d.ShardSize
	off, length := int64(0), size
	if r.Length != 0 {
		if r.Offset >= size || r.Length > size-r.Offset {
			return nil, nil, protocol.Refuse(protocol.CodeMalformed, "range %d+%d of a shard of %d bytes", r.Offset, r.Length, size)
		}
		off, length = protocol.AlignRange(r.Offset, r.Length, size)
	}
	done, err := n.mayGive(ctx, r.Segment, length)
	if err != nil {
		return nil, nil, err
	}
	room, err := n.gate.Body(ctx, from, length)
	if err != nil {
		done()
		return nil, nil, err
	}
	free := func() { room(); done() }
	buf := n.buffers.Get(length)
	release := func() { n.buffers.Put(buf); free() }
	if r.Length == 0 {
		err = sh.ReadAll(*buf)
	} else {
		_, err = io.ReadFull(io.NewSectionReader(sh, off, length), *buf)
	}
	switch {
	case err != nil:
		release()
		return nil, nil, n.misread(ctx, sh, "read shard", err)
	case r.Length == 0:
		return *buf, release, nil
	}
	defer n.buffers.Put(buf)
	root := d.Roots[sh.Info().Key.Slot]
	raw, err := n.cut(ctx, sh, func(outboard []byte) ([]byte, error) {
		raw, err := protocol.Slice(*buf, outboard, r.Offset, r.Length)
		if err == nil {
			_, err = protocol.VerifySlice(raw, r.Offset, r.Length, size, root)
		}
		return raw, err
	})
	if err != nil {
		free()
		return nil, nil, err
	}
	return raw, free, nil
}

// mayGive asks the donor's contract whether a client may have a number of bytes of
// a segment, and waits for the line. One leaf, which proves that a shard is held,
// is always given: a node that rests is not dead.
func (n *Node) mayGive(ctx context.Context, s protocol.SegmentID, bytes int64) (done func(), err error) {
	if bytes <= protocol.LeafSize {
		return func() {}, nil
	}
	if err := n.deal.mayRead(s, bytes, n.now()); err != nil {
		return nil, err
	}
	return n.deal.turn(ctx, n.deal.line.Up, contract.Clients)
}

// misread turns an error of reading a shard into a refusal. A shard that does
// not read as it was stored is verified as a whole, so that the store knows that it
// is damaged, and then mended.
func (n *Node) misread(ctx context.Context, sh storage.ShardReader, op string, err error) error {
	info := sh.Info()
	rot := n.store.Verify(ctx, info.Key)
	switch {
	case errors.Is(rot, storage.ErrCorrupt):
		n.shardDamaged(ctx, info.Group, info.Key, rot)
		return protocol.Refuse(protocol.CodeCorrupt, "segment %s", info.Key.Segment)
	case rot != nil:
		err = rot
	}
	return n.hideStore(op, err)
}

// cut lets slice make and verify a slice with the shard's outboard. If it does not
// fit, this disk is damaged.
func (n *Node) cut(ctx context.Context, sh storage.ShardReader, slice func(outboard []byte) ([]byte, error)) ([]byte, error) {
	outboard, err := sh.Outboard()
	if err != nil {
		return nil, n.misread(ctx, sh, "read outboard", err)
	}
	raw, err := slice(outboard)
	if err != nil {
		return nil, n.misread(ctx, sh, "cut shard", fmt.Errorf("%w: %w", storage.ErrCorrupt, err))
	}
	return raw, nil
}
