package client

import (
	"context"
	"fmt"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// fillPause is how long a put waits after a round in which no holder was ready.
const fillPause = time.Second

// fill goes on from safe to full: it waits for what is under way, then brings
// missing shards to holders that answer again. It ends when nothing is
// missing, when every missing slot has refused, or when opt.Wait is over.
func (p *putter) fill() {
	deadline := time.NewTimer(p.opt.Wait)
	defer deadline.Stop()
	for p.drain(deadline.C) {
		index, ready := p.nextMissing()
		if index < 0 {
			break
		}
		if ready {
			if err := p.refill(index); err != nil {
				p.c.log.Info("missing shards not made again", "err", err)
				ready = false
			}
		}
		if !ready && !p.pause(deadline.C) {
			break
		}
	}
	for _, f := range p.flights {
		f.cancel(nil)
	}
	p.drain(nil)
}

// drain waits until no shipment is under way. It returns false when the
// deadline or the put's end comes first.
func (p *putter) drain(deadline <-chan time.Time) bool {
	done := p.ctx.Done()
	if deadline == nil {
		done = nil // all are cancelled: they end by themselves
	}
	for len(p.flights) > 0 {
		select {
		case ev := <-p.events:
			if ev.state == hopeless {
				continue // a refill failed: what was safe stays safe
			}
			if err := p.handle(ev); err != nil {
				p.c.log.Warn("journal", "err", err)
			}
		case <-deadline:
			return false
		case <-done:
			return false
		}
	}
	return true
}

func (p *putter) pause(deadline <-chan time.Time) bool {
	t := time.NewTimer(fillPause)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-deadline:
	case <-p.ctx.Done():
	}
	return false
}

// nextMissing returns a segment with missing shards whose holders have not
// refused for good, -1 where there is none, and whether one of these holders
// may be asked now.
func (p *putter) nextMissing() (index int, ready bool) {
	index = -1
	now := p.c.now()
	for i, pl := range p.placed {
		if pl.dropped {
			continue
		}
		k := p.carrierOf(pl.group)
		for slot, ok := range pl.acked {
			l := k.lanes[slot]
			if ok || l.final() {
				continue
			}
			if l.ready(now) {
				return i, true
			}
			index = i
		}
	}
	return index, false
}

func (l *lane) final() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused != nil
}

func (p *putter) carrierOf(g *ownGroup) *carrier {
	for _, k := range p.old {
		if k.g == g {
			return k
		}
	}
	return p.carrier
}

// refill makes a segment's shards again from what its holders keep, the same
// sealed bytes, and sends those that are missing.
func (p *putter) refill(index int) error {
	pl := p.placed[index]
	buf, err := p.takeBuffer()
	if err != nil {
		return err
	}
	s, err := p.rebuild(pl, buf)
	if err != nil {
		p.free = append(p.free, buf)
		return err
	}
	g := pl.group
	grant := protocol.SignGrant(g.ownerKey, g.networkName, g.id, s.id[:], s.desc.Footprint())
	f := p.carrierOf(g).ship(s, grant, pl.acked)
	f.index = index
	p.flights = append(p.flights, f)
	p.report()
	return nil
}

// readBack fills dst with a segment's sealed bytes, proved, from its holders.
func (c *Client) readBack(ctx context.Context, pl *placement, dst []byte) error {
	// The owner has the group's record and table: nobody needs to be asked for them.
	if _, err := c.found.take(pl.group.id.Prefix(), pl.group.state.Record, pl.group.state.Table); err != nil {
		return err
	}
	return c.readSealed(ctx, &pl.extent, 0, int64(len(dst)), dst)
}

// rebuild makes a segment again, shards and all, exactly as it was first sent.
func (p *putter) rebuild(pl *placement, buf *segmentBuffer) (*segment, error) {
	size, shard := pl.desc.Size, pl.desc.ShardSize
	if err := p.c.readBack(p.ctx, pl, buf.data[:size]); err != nil {
		return nil, err
	}
	clear(buf.data[size : shard*int64(pl.desc.K)])
	s := &segment{
		buf: buf, secret: pl.extent.Secret, key: pl.extent.Key, sealed: pl.extent.Length,
		desc: pl.desc, bytes: pl.bytes, id: pl.extent.Segment, shards: buf.shards(shard),
	}
	b, err := newBuilder(pl.group.profile, p.c.rand)
	if err != nil {
		return nil, err
	}
	roots, err := b.encode(s.shards, shard)
	if err != nil {
		return nil, err
	}
	for i, r := range roots {
		if r != pl.desc.Roots[i] {
			return nil, fmt.Errorf("make segment %s again: shard %d: %w", s.id, i, protocol.ErrForged)
		}
	}
	return s, nil
}
