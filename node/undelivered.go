package node

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// undelivered are the shards that were made for peers which did not answer just
// then, as one in ten does not: each is put as soon as its peer answers again.
// Thrown away, each would take k loans once more.
type undelivered struct {
	mu    sync.Mutex
	m     map[parcel]madeShard
	bytes int64
}

// parcel is one shard for one peer.
type parcel struct {
	kin
	slot int
	to   peer.ID
}

type madeShard struct {
	request *protocol.PutRequest
	shard   []byte
	until   time.Duration // on neighbours' watch
}

// maxUndelivered bounds the bytes that wait for peers.
const maxUndelivered = 64 << 20

func newUndelivered() *undelivered { return &undelivered{m: make(map[parcel]madeShard)} }

// keep remembers a shard, of which it takes a copy, if there is room. Keeping it
// again does not extend its time. It reports whether the shard waits.
func (l *undelivered) keep(p parcel, r *protocol.PutRequest, shard []byte, until time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.m[p]; known {
		return true
	}
	if l.bytes+int64(len(shard)) > maxUndelivered {
		return false
	}
	l.bytes += int64(len(shard))
	l.m[p] = madeShard{r, bytes.Clone(shard), until}
	return true
}

// drop forgets a shard.
func (l *undelivered) drop(p parcel) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v, known := l.m[p]; known {
		l.bytes -= int64(len(v.shard))
		delete(l.m, p)
	}
}

// waiting returns the shards that still wait, and forgets those that have waited
// for too long.
func (l *undelivered) waiting(now time.Duration) map[parcel]madeShard {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[parcel]madeShard)
	for p, v := range l.m {
		if now < v.until {
			out[p] = v
			continue
		}
		l.bytes -= int64(len(v.shard))
		delete(l.m, p)
	}
	return out
}

// unreached reports whether a message did not come to its peer, as far as can be
// told: it could not be dialled, or ended the stream immediately, as a peer does that
// is only just starting. A peer that keeps others waiting is none of these.
func unreached(err error) bool {
	var no *protocol.Error
	return errors.Is(err, protocol.ErrUnreachable) ||
		err != nil && !errors.As(err, &no) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled)
}

// bringUndelivered puts the shards that wait for peers which answer by now. All have
// some slack together, and as long as what is taken needs at the least rate: the
// others' turn comes in the next round.
func (n *Node) bringUndelivered(ctx context.Context) {
	silent := make(map[peer.ID]bool)
	until := n.neighbours.Now() + gatherSlack
	for p, v := range n.repairs.late.waiting(n.neighbours.Now()) {
		if ctx.Err() != nil || n.neighbours.Now() >= until {
			return
		}
		if !n.awaits(p) {
			n.repairs.late.drop(p)
			continue
		}
		if silent[p.to] || n.stalledNow(p.to) {
			continue
		}
		m, err := n.askHave(ctx, p.to, &protocol.HaveRequest{Group: p.group, Named: []protocol.SegmentID{p.segment}})
		if err == nil && m.Held[0] {
			n.neighbours.Got(p.group, p.to, p.slot, p.segment)
			n.repairs.late.drop(p) // the member whose turn came next was faster
			continue
		}
		if silent[p.to] = unreached(err) || errors.Is(err, context.DeadlineExceeded); silent[p.to] {
			continue
		}
		err = n.moveShard(ctx, p.to, v.request.Length, func(ctx context.Context) error { return n.caller.Put(ctx, p.to, v.request, v.shard) })
		if silent[p.to] = unreached(err); silent[p.to] {
			continue
		}
		n.repairs.late.drop(p)
		if err != nil {
			n.log.Debug("a repaired shard is not taken", "peer", protocol.ShortPeer(p.to), "slot", p.slot, "segment", p.segment, "err", err)
			continue
		}
		until += shardTimeout(v.request.Length) - shardTimeout(0)
		n.count.given.Add(int64(len(v.shard)))
		n.count.repaired.Add(1)
		n.neighbours.Got(p.group, p.to, p.slot, p.segment)
		if roll := n.neighbours.Roll(p.group); roll != nil {
			n.gave(roll, p.to, p.segment, n.cfg.Timing.ConfessedFor)
		}
		n.log.Info("brought a shard that was made before", "group", p.group.Prefix(), "segment", p.segment, "peer", protocol.ShortPeer(p.to))
	}
}

// awaits reports whether a peer still is to have a shard: it is a holder that
// lacks it, or the candidate of a slot that nobody else fills.
func (n *Node) awaits(p parcel) bool {
	v := n.neighbours.RollFor(p.group, p.segment)
	if v == nil || n.frees.has(p.kin) || !n.isAlive(p.group) {
		return false
	}
	lacking := v.Lacking(p.segment)
	for i := range v.Table.Held {
		if h := &v.Table.Held[i]; int(h.Slot) == p.slot && !v.View.Gone.Has(i) {
			return h.Peer == p.to && lacking.Has(i)
		}
	}
	c, named := n.nominees.at(place{p.group, p.slot}, n.neighbours.Now())
	return named && c.peer == p.to
}
