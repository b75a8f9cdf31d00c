package storage

import (
	"context"
	"sync/atomic"
)

// request is one caller's wish to write.
type request struct {
	// plan adds to a batch the records that fulfil the wish: none, if it is
	// fulfilled already. It runs on the committer, perhaps more than once.
	plan  func(*batch) error
	state atomic.Int32
	done  chan error
}

// The states of a request. A caller that gives up withdraws it, unless the
// committer has taken it and may be writing from the caller's memory.
const (
	waiting int32 = iota
	taken
	withdrawn
)

func (r *request) take() bool { return r.state.CompareAndSwap(waiting, taken) }

// submit hands a request to the committer and waits until it is durable.
func (d *Disk) submit(ctx context.Context, plan func(*batch) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{plan: plan, done: make(chan error, 1)}
	d.closing.RLock()
	if d.closed {
		d.closing.RUnlock()
		return ErrClosed
	}
	select {
	case d.requests <- r:
	case <-ctx.Done():
		d.closing.RUnlock()
		return ctx.Err()
	}
	d.closing.RUnlock()
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
		if r.state.CompareAndSwap(waiting, withdrawn) {
			return ctx.Err()
		}
		return <-r.done
	}
}

// submitForRoom is submit for requests that need room: as long as only dead
// records are in the way, it has their space reclaimed and tries again.
func (d *Disk) submitForRoom(ctx context.Context, plan func(*batch) error) error {
	for {
		err := d.submit(ctx, plan)
		if err != errRoom { //nolint:errorlint // never wrapped
			return err
		}
		freed, err := d.reclaim(ctx)
		if err != nil {
			return err
		}
		if !freed {
			return ErrFull
		}
	}
}

// planShard plans to keep a shard that h describes.
func (d *Disk) planShard(s *Shard, h *header) func(*batch) error {
	return func(b *batch) error {
		old, err := b.held(h)
		if err != nil {
			return err
		}
		if old != nil && old.group != s.Group {
			return ErrConflict
		}
		if old != nil && !d.damage.has(touch(h)) {
			return nil
		}
		if err := d.admit(b, h.size()); err != nil {
			return err
		}
		if old != nil {
			b.replace(*h, old, s.Descriptor, s.Outboard, s.Data)
			return nil
		}
		b.add(*h, s.Descriptor, s.Outboard, s.Data)
		return nil
	}
}

// planFacts plans to keep facts that hs describe.
func (d *Disk) planFacts(facts []Fact, hs []header) func(*batch) error {
	return func(b *batch) error {
		own := make(map[string]bool, len(facts))
		for i := range facts {
			h := &hs[i]
			if own[touch(h)] {
				continue // given twice
			}
			own[touch(h)] = true
			old, err := b.held(h)
			if err != nil {
				return err
			}
			if old != nil && !d.damage.has(touch(h)) {
				continue
			}
			if err := d.admit(b, h.size()); err != nil {
				return err
			}
			if old != nil {
				b.replace(*h, old, facts[i].Bytes)
				continue
			}
			b.add(*h, facts[i].Bytes)
		}
		return nil
	}
}

// planDelete plans to kill what h names. It needs no room: deleting must work
// on a full disk.
func planDelete(h header) func(*batch) error {
	return func(b *batch) error {
		old, err := b.held(&h)
		if err != nil || old == nil {
			return err
		}
		h.group = old.group
		b.add(h.kill(old.place, b.now))
		return nil
	}
}

// moving is a record that compaction brings to the active log.
type moving struct {
	placed
	body []byte
}

// planMoves plans to copy records that still count to the active log. The
// originals are killed: as long as their log exists, a replay of it must not find
// them alive after the copies were deleted.
func planMoves(list []moving) func(*batch) error {
	return func(b *batch) error {
		for i := range list {
			m := &list[i]
			if m.h.isKill() {
				b.add(m.h)
				continue
			}
			old, err := b.held(&m.h)
			if err != nil {
				return err
			}
			if old == nil || old.place != m.at {
				continue // deleted meanwhile
			}
			b.replace(m.h, old, m.body)
		}
		return nil
	}
}

// planKills plans to write kills for records that are dead already, so that later
// replays of the logs know it.
func planKills(list []placed) func(*batch) error {
	return func(b *batch) error {
		for _, p := range list {
			b.add(p.h.kill(p.at, b.now))
		}
		return nil
	}
}
