package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
)

// lendersOf returns the holders that can lend shards of a job's segment, in random
// order.
func (n *Node) lendersOf(j *repairJob) []neighbours.Holder {
	var out []neighbours.Holder
	lacking := j.roll.Lacking(j.segment)
	for i := range j.roll.Table.Held {
		if h := &j.roll.Table.Held[i]; i != j.roll.Self && j.roll.Living.Has(i) && !lacking.Has(i) {
			out = append(out, neighbours.Holder{Peer: h.Peer, Slot: int(h.Slot)})
		}
	}
	n.rand.shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return n.lendersFirst(out)
}

// collection gathers k shards of a segment, each checked against its root.
type collection struct {
	*Node
	job  *repairJob
	k    int
	size int64                // bytes that a shard has at most, by the grant
	d    *protocol.Descriptor // nil: not known yet
	desc []byte
	have [][]byte // by slot
	got  int
	why  error // why the last shard did not come

	later bool // somebody asks to come again
}

// know takes a descriptor that is the segment's.
func (c *collection) know(desc []byte) error {
	d, err := protocol.OpenDescriptor(desc, c.job.segment)
	if p := c.job.roll.Table.Profile; err == nil && (d.K != p.K || d.N != p.N) {
		err = protocol.Refuse(protocol.CodeMalformed, "segment coded %d of %d in a group of %s", d.K, d.N, p)
	}
	if err == nil && d.ShardSize > c.size {
		err = protocol.Refuse(protocol.CodeMalformed, "shards of %d bytes, where %d are granted", d.ShardSize, c.size)
	}
	if err == nil {
		c.d, c.desc, c.have = d, bytes.Clone(desc), make([][]byte, d.N)
	}
	return err
}

// readOwn takes this node's own shard and descriptor, if they are sound.
func (c *collection) readOwn(ctx context.Context) {
	slot := int(c.job.roll.Table.Held[c.job.roll.Self].Slot)
	sh, err := c.openShard(ctx, c.job.segment, slot)
	if err != nil {
		return
	}
	defer func() { _ = sh.Close() }()
	if c.know(sh.Descriptor()) != nil {
		return
	}
	raw := make([]byte, c.d.ShardSize)
	if sh.ReadAll(raw) == nil {
		c.have[slot], c.got = raw, 1
	}
}

// gather borrows the other shards, several at a time, within one deadline for all
// of them. Its error has errLendLater in its chain where some lenders have taken note
// of the request, and lend theirs a while later.
func (c *collection) gather(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, gatherTimeout(int64(c.k)*c.size))
	defer cancel()
	c.resume()
	rest := c.lendersOf(c.job)
	for c.got < c.k && ctx.Err() == nil {
		if rest = c.willing(rest); len(rest) == 0 {
			break
		}
		n := min(len(rest), c.k-c.got, c.atOnce(borrowsAtOnce))
		if c.d == nil {
			n = min(n, firstBorrows)
		}
		replies := make([]loaned, n)
		var all sync.WaitGroup
		for i, h := range rest[:n] {
			if c.d == nil || c.have[h.Slot] == nil {
				all.Go(func() { replies[i] = c.borrow(ctx, h) })
			}
		}
		all.Wait()
		for i, h := range rest[:n] {
			c.take(h, replies[i])
		}
		rest = rest[n:]
	}
	if c.got < c.k {
		c.repairs.partial.keep(kin{c.job.roll.ID, c.job.segment}, c, c.neighbours.Now()+c.cfg.Timing.RepairDay)
		few := errTooFewLend
		if c.later {
			few = errLendLater
		}
		return fmt.Errorf("%d of %d shards: %w: %w", c.got, c.k, few, cmp.Or(c.why, error(protocol.ErrNotFound)))
	}
	return nil
}

// willing drops the lenders that stall; and all lenders, where the others are too few
// for k shards.
func (c *collection) willing(rest []neighbours.Holder) []neighbours.Holder {
	left := slices.DeleteFunc(slices.Clone(rest), func(h neighbours.Holder) bool { return c.stalledNow(h.Peer) })
	if len(left) < len(rest) && c.got+len(left) < c.k {
		c.why = errStalls
		return nil
	}
	return left
}

// errStalls says that co-members keep this node waiting for their shards.
var errStalls = errors.New("co-members keep this node waiting for their shards")

// errLendLater says that co-members have audited too few holders to tell whether the
// segment needs repair, have noted the request, and will lend their shards in a while.
var errLendLater = errors.New("co-members ask to come again for their shards")

// loaned is what a co-member gave.
type loaned struct {
	desc, raw []byte
	err       error
}

func (c *collection) borrow(ctx context.Context, h neighbours.Holder) (l loaned) {
	r := &protocol.MendRequest{
		Group: c.job.roll.ID, Segment: c.job.segment, Slot: h.Slot, Purpose: protocol.PurposeRepair, Descriptor: c.d == nil,
	}
	l.err = c.moveShard(ctx, h.Peer, c.size, func(ctx context.Context) error {
		m, raw, err := c.caller.Mend(ctx, h.Peer, r, func(size int64) []byte { return make([]byte, size) }, c.size)
		if err == nil {
			l.desc, l.raw = m.Descriptor, raw
		}
		return err
	})
	return l
}

// take checks what came and keeps it.
func (c *collection) take(h neighbours.Holder, l loaned) {
	if l.err == nil && c.d == nil {
		l.err = c.know(l.desc)
	}
	switch {
	case l.err != nil:
	case l.raw == nil || c.have[h.Slot] != nil || c.got == c.k:
		return
	case protocol.Sum(l.raw) != c.d.Roots[h.Slot]:
		l.err = protocol.ErrForged
	default:
		c.have[h.Slot] = l.raw
		c.got++
		c.job.fetched += int64(len(l.raw))
		c.count.borrowed.Add(int64(len(l.raw)))
		return
	}
	if protocol.CodeOf(l.err) == protocol.CodeNotFound { // its Have may not have been heard since
		c.neighbours.Miss(c.job.roll.ID, h.Peer, h.Slot, c.job.segment)
	}
	c.why, c.later = l.err, c.later || errors.Is(l.err, protocol.ErrUnavailable)
	c.log.Debug("a co-member lends no shard", "peer", protocol.ShortPeer(h.Peer), "segment", c.job.segment, "err", l.err)
}
