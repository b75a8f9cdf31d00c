package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Bounds of proving what was stored.
const (
	leafTimeout = 15 * time.Second
	proveRounds = 3 // rounds in which a put leaves groups whose holders cannot show what they acknowledged
)

// proveContent waits until all content is safe and every holder has shown a leaf.
// Segments that are not safe without the holders that cannot show one are brought
// into another group; those in bad are known to be such from the start.
func (p *putter) proveContent(bad []int) error {
	for range proveRounds {
		for _, i := range bad {
			if err := p.rescue(i); err != nil {
				return errors.Join(err, p.giveUp(bad))
			}
		}
		if err := p.awaitSafe(); err != nil {
			return err
		}
		var err error
		if bad, err = p.proveLeaves(p.told); err != nil || len(bad) == 0 {
			return err
		}
	}
	return errUnproved
}

var errUnproved = fmt.Errorf("prove what is stored: holders acknowledged what they cannot show: %w", ErrTooFew)

// proveRecords stores manifests by calling send and makes their holders show them.
// Where these cannot, all manifests are stored anew in another group; and also where
// content has to move, because a manifest says where its content lies.
func (p *putter) proveRecords(send func() error) error {
	for range proveRounds {
		from := len(p.placed)
		if err := send(); err != nil {
			return err
		}
		bad, err := p.proveLeaves(from)
		if err != nil || len(bad) == 0 {
			return err
		}
		content, err := p.dropRecords(from, bad)
		if err != nil {
			return err
		}
		if err := p.proveContent(content); err != nil {
			return err
		}
	}
	return errUnproved
}

// dropRecords takes back all records from an index on, and leaves the groups of
// those that are bad. It returns the content among the bad.
func (p *putter) dropRecords(from int, bad []int) (content []int, err error) {
	for _, i := range bad {
		if i < from {
			content = append(content, i)
		}
	}
	for i, pl := range p.placed[from:] {
		pl.dropped = true
		if slices.Contains(bad, from+i) {
			err = errors.Join(err, p.leave(pl.group, pl.extent.Segment))
		} else {
			p.retract(pl.group, pl.extent.Segment)
		}
	}
	return content, err
}

// giveUp notes that segments are no longer safe, so that a session that resumes the
// put sends them anew; otherwise it would fail on them again and again.
func (p *putter) giveUp(bad []int) (err error) {
	if p.ctx.Err() != nil {
		return nil // it was called off: a later session may well rescue them
	}
	for _, i := range bad {
		err = errors.Join(err, p.c.cfg.Owner.forgetSafe(p.id, i))
	}
	return err
}

// rescue makes a segment again from the holders that do have it, and brings it into
// another group.
func (p *putter) rescue(index int) error {
	buf, err := p.takeBuffer()
	if err != nil {
		return err
	}
	s, err := p.rebuild(p.placed[index], buf)
	if err != nil {
		return errors.Join(errUnproved, err)
	}
	return p.relocate(s, index)
}

// proveLeaves asks every holder for one random leaf of what it acknowledged of
// the segments from an index on. One that cannot show it is taken to hold nothing.
// It returns the segments, whatever their index, that are then not safe and may
// still move.
func (p *putter) proveLeaves(from int) (bad []int, err error) {
	type proof struct {
		*carrier
		slot int
		err  error
	}
	asked := 0
	results := make(chan proof)
	ctx, cancel := context.WithTimeout(p.ctx, leafTimeout)
	defer cancel()
	for _, k := range append(p.old, p.carrier) {
		for slot := range k.lanes {
			if pl := p.anyAcked(k.g, slot, from); pl != nil {
				asked++
				go func() { results <- proof{k, slot, p.c.proveLeaf(ctx, pl, slot, k.lanes[slot])} }()
			}
		}
	}
	for range asked {
		if r := <-results; r.err != nil && p.ctx.Err() == nil {
			p.c.log.Warn("holder cannot show what it acknowledged", "slot", r.slot, "err", r.err)
			p.distrust(r.carrier, r.slot, r.err)
		}
	}
	for i, pl := range p.placed[p.told:] {
		if !pl.isSafe && !pl.dropped {
			bad = append(bad, p.told+i)
		}
	}
	return bad, context.Cause(p.ctx)
}

// anyAcked returns a random segment, from an index on, whose shard a slot's holder
// acknowledged; nil where there is none.
func (p *putter) anyAcked(g *ownGroup, slot, from int) *placement {
	var pick *placement
	seen := uint64(0)
	for i := from; i < len(p.placed); i++ {
		if pl := p.placed[i]; pl.group != g || pl.dropped || !p.ackedAt(i, slot) {
			continue
		}
		seen++
		if seed64(p.c.rand)%seen == 0 {
			pick = p.placed[i]
		}
	}
	return pick
}

// ackedAt reports whether a slot acknowledged its shard of a segment: by the
// placement or, while it is under way, by its shipment.
func (p *putter) ackedAt(index, slot int) bool {
	for _, f := range p.flights {
		if f.index == index && f.id == p.placed[index].extent.Segment {
			f.mu.Lock()
			defer f.mu.Unlock()
			return f.acked[slot]
		}
	}
	return p.placed[index].acked[slot]
}

// proveLeaf reads one random leaf of a shard back from its holder.
func (c *Client) proveLeaf(ctx context.Context, pl *placement, slot int, l *lane) error {
	leaf := int64(seed64(c.rand) % uint64(protocol.Leaves(pl.desc.ShardSize)))
	off, length := protocol.AlignRange(leaf*protocol.LeafSize, 1, pl.desc.ShardSize)
	proof := protocol.SignRead(seal.ReadKey(seal.Key(pl.extent.Secret)), c.cfg.Network, pl.extent.Segment, c.net.Self())
	r := &protocol.GetRequest{Segment: pl.extent.Segment, Slot: slot, Offset: off, Length: length, Proof: proof}
	_, raw, err := c.call.Get(ctx, l.peer, r, nil, protocol.SliceSize(length, pl.desc.ShardSize))
	if err != nil {
		return err
	}
	_, err = protocol.VerifySlice(raw, off, length, pl.desc.ShardSize, pl.desc.Roots[slot])
	return err
}

// distrust no longer counts anything that a holder acknowledged.
func (p *putter) distrust(k *carrier, slot int, err error) {
	l := k.lanes[slot]
	l.mu.Lock()
	l.refused = errors.Join(errDistrusted, err)
	l.mu.Unlock()
	if mayBeHonest(err) {
		p.c.peers.fail(l.peer, err)
	} else {
		p.c.peers.lied(l.peer, errors.Join(errDistrusted, err))
	}
	for _, f := range p.flights {
		if f.carrier == k {
			f.mu.Lock()
			if f.acked[slot] {
				f.acked[slot] = false
				f.stored--
			}
			f.mu.Unlock()
		}
	}
	for i, pl := range p.placed {
		if pl.group == k.g {
			pl.acked[slot] = false
			pl.isSafe = p.countAcked(i) >= group.SafeAt(k.g.profile)
		}
	}
}

// mayBeHonest reports whether a holder that did not show a leaf may still have
// it: it is out of reach, or cannot serve now.
func mayBeHonest(err error) bool {
	for _, busy := range []error{protocol.ErrUnavailable, protocol.ErrSuspended, protocol.ErrBudget, context.DeadlineExceeded} {
		if errors.Is(err, busy) {
			return true
		}
	}
	return !isRefusal(err) && !errors.Is(err, protocol.ErrForged)
}

var errDistrusted = errors.New("the holder does not have what it acknowledged")

func (p *putter) countAcked(index int) (n int) {
	for slot := range p.placed[index].acked {
		if p.ackedAt(index, slot) {
			n++
		}
	}
	return n
}
