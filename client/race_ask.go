package client

import (
	"context"
	"fmt"
	"time"

	"github.com/zeebo/blake3"

	"github.com/cairnstore/cairn/protocol"
)

// How a silent holder is told from a slow one.
const (
	silentAfter = time.Second     // without an answer: then the holder is asked whether it is there
	probeTime   = 2 * time.Second // for the answer to that
	probeEvery  = 10 * time.Second

	getGrace = 15 * time.Second // a request may take this, and the time that getRate needs
	getRate  = 32 << 10         // bytes a second
)

// ask begins a request to the next holder of a slot.
func (r *race) ask(ctx context.Context, slot int) {
	c := r.src.l.c
	ctx, cancel := context.WithCancelCause(ctx)
	b := &bid{slot: slot, peer: r.queue[slot][0], begun: c.now(), cancel: cancel}
	r.bids[b], r.queue[slot] = true, r.queue[slot][1:]
	go func() {
		defer cancel(nil)
		c.peers.begin(b.peer)
		data, err := r.get(ctx, b)
		c.peers.end(b.peer)
		r.tell(raceEvent{bid: b, data: data, err: err})
	}()
	go r.watch(ctx, b)
}

// tell hands an event to the race, or its buffer back where that is over.
func (r *race) tell(e raceEvent) {
	if r.over.Load() {
		r.src.l.buffers.put(e.data)
		return
	}
	r.events <- e // has room for every event of every slot
}

// get fetches and verifies what one slot has of the column range.
func (r *race) get(ctx context.Context, b *bid) ([]byte, error) {
	known := r.src.descriptor()
	// Where the shape is a guess, a small range is asked for as such: a holder
	// whose shard is longer would send all of it.
	whole := r.col.length == r.sh.shard && (known != nil || r.sh.shard > smallShard)
	req := &protocol.GetRequest{Segment: r.src.ext.Segment, Slot: b.slot, Proof: r.src.proof, Descriptor: known == nil}
	most := r.col.length
	if !whole {
		req.Offset, req.Length = r.col.off, r.col.length
		most = protocol.SliceSize(req.Length, max(r.sh.shard, protocol.LeafSize))
	}
	if known == nil {
		// The guess may be wrong: let the holder show what it has.
		most = protocol.SliceSize(protocol.MaxShardSize, protocol.MaxShardSize)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, getGrace+time.Duration(r.col.length)*time.Second/getRate, errSilent)
	defer cancel()
	var buf []byte
	hash := blake3.New()
	m, raw, err := r.src.l.c.call.GetInto(ctx, b.peer, req, func(n int64) []byte {
		if int64(cap(buf)) < n {
			r.src.l.buffers.put(buf)
			buf = r.src.l.buffers.get(n)
		}
		hash.Reset()
		return buf
	}, func(b []byte) {
		if whole {
			_, _ = hash.Write(b) // never fails
		}
	}, most)
	if err == nil {
		raw, err = r.verify(m, raw, hash, b, whole, known)
	}
	if err != nil || !whole {
		r.src.l.buffers.put(buf)
	}
	if err != nil {
		return nil, err
	}
	return raw, nil
}

// verify returns the bytes of the range if they are the slot's own. hash has
// seen those of a whole shard.
func (r *race) verify(m *protocol.GetReply, raw []byte, hash *blake3.Hasher, b *bid, whole bool, d *protocol.Descriptor) ([]byte, error) {
	if d == nil {
		var err error
		if d, err = r.src.learn(m.Descriptor); err != nil {
			return nil, fmt.Errorf("slot %d: %w: %w", b.slot, err, protocol.ErrForged)
		}
		if d.ShardSize != r.sh.shard {
			return nil, errShape
		}
	}
	if m.Slot != b.slot {
		return nil, fmt.Errorf("slot %d: slot %d came: %w", b.slot, m.Slot, protocol.ErrForged)
	}
	if !whole {
		return protocol.VerifySlice(raw, r.col.off, r.col.length, r.sh.shard, d.Roots[b.slot])
	}
	if int64(len(raw)) != r.sh.shard || protocol.Hash(hash.Sum(nil)) != d.Roots[b.slot] {
		return nil, fmt.Errorf("slot %d: %w", b.slot, protocol.ErrForged)
	}
	return raw, nil
}

// watch reports when a request is late, and calls it off when its holder does not
// answer a small question either. It ends with the request.
func (r *race) watch(ctx context.Context, b *bid) {
	late := false
	tell := func() {
		if !late && ctx.Err() == nil {
			late = true
			r.tell(raceEvent{bid: b, late: true})
		}
	}
	patience := r.src.l.c.peers.patience(r.col.length)
	if !protocol.Sleep(ctx, min(patience, silentAfter)) {
		return
	}
	if patience <= silentAfter {
		tell()
	}
	begun := r.src.l.c.now()
	alive := r.alive(ctx, b, probeTime)
	if !alive {
		tell()
	}
	if !late && protocol.Sleep(ctx, patience-silentAfter-r.src.l.c.now().Sub(begun)) {
		tell()
	}
	// A holder that is slow but answers may still be needed.
	for !alive || protocol.Sleep(ctx, probeEvery) {
		if alive = r.alive(ctx, b, 2*probeTime); !alive {
			b.cancel(errSilent)
			return
		}
	}
}

// alive reports whether a holder answers a small question.
func (r *race) alive(ctx context.Context, b *bid, within time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_, err := r.src.l.c.call.Info(ctx, b.peer)
	return err == nil || isRefusal(err)
}
