package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// Which logs are worth compacting: copying what still counts of them.
const (
	// compactBelow: logs of which less than 1/compactBelow counts.
	compactBelow = 2
	// pressBelow: when room is needed, logs of which at least 1/pressBelow is
	// dead.
	pressBelow = 32
	// smallLog: logs shorter than 1/smallLog of what they could be, such as
	// crashes and restarts leave, when there are more than manySmall of them.
	smallLog  = 16
	manySmall = 32

	moveBytes = 4 << 20 // that one request moves
	moveCount = 512
)

// wake tells the compactor to look for work.
func (d *Disk) wake() {
	select {
	case d.kick <- struct{}{}:
	default:
	}
}

// compactLoop reclaims space whenever something was deleted.
func (d *Disk) compactLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.kick:
		}
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = d.compactOnce(ctx, false); err != nil && ctx.Err() == nil {
				d.cfg.Log.Warn("cannot win back space", "err", err)
			}
		}
	}
}

// reclaim makes room for a writer that waits for it. It returns false when
// there is none to be made.
func (d *Disk) reclaim(ctx context.Context) (freed bool, err error) {
	freed, err = d.compactOnce(ctx, true)
	if err == nil && !freed {
		// What is dead may lie in the active log.
		if err = d.submit(ctx, d.planRotation); err == nil {
			freed, err = d.compactOnce(ctx, true)
		}
	}
	if freed {
		err = errors.Join(err, d.space.ask())
	}
	return freed, err
}

// planRotation ends the active log if anything in it is dead.
func (d *Disk) planRotation(b *batch) error {
	if b.size > 0 {
		return errLater
	}
	x := d.index
	x.mu.RLock()
	c := x.logs[d.active.id]
	worth := c.size-c.live >= max(c.size/pressBelow, 2*headerSize)
	x.mu.RUnlock()
	if !worth {
		return nil
	}
	if err := d.rotate(); err != nil {
		return err
	}
	b.reset(b.now)
	return nil
}

// compactOnce removes one log, if one is worth it. If pressing, it is content
// with less (pressBelow). A log that cannot be read or removed is passed over
// from then on. An error is about something else, and the log will be tried
// again.
func (d *Disk) compactOnce(ctx context.Context, pressing bool) (freed bool, err error) {
	select {
	case d.compacting <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	defer func() { <-d.compacting }()
	for {
		id, size, ok := d.pick(pressing)
		if !ok {
			return false, nil
		}
		err := d.compact(ctx, id, size)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, ErrFailed):
			if gone := present(&d.cfg); gone != nil {
				return false, gone
			}
			return false, d.fail(fmt.Errorf("compact log %d: %w", id, err)) // a sync failed, no matter of which file
		case passing(err):
			return false, fmt.Errorf("compact log %d: %w", id, err)
		}
		if gone := present(&d.cfg); gone != nil {
			return false, gone
		}
		d.stuck[id] = true // until the store is opened again
		d.cfg.Log.Warn("cannot win back a log's space", "log", id, "err", err)
	}
}

// passing reports whether an error says nothing of the log that was being
// compacted: the caller that asked for room gave up, or the store cannot write.
func passing(err error) bool {
	for _, kind := range []error{context.Canceled, context.DeadlineExceeded, ErrFull, ErrSuspended, ErrFailed, ErrClosed} {
		if errors.Is(err, kind) {
			return true
		}
	}
	return false
}

// pick chooses the log of which the smallest part counts. The active one, which
// has the highest number, is never chosen, so that no number is used twice.
func (d *Disk) pick(pressing bool) (best uint64, size int64, ok bool) {
	x := d.index
	x.mu.RLock()
	defer x.mu.RUnlock()
	active, small := uint64(0), 0
	for id, c := range x.logs {
		active = max(active, id)
		if c.size < d.logSize/smallLog {
			small++
		}
	}
	ratio := 2.0
	for id, c := range x.logs {
		if id == active || d.stuck[id] {
			continue
		}
		dead := c.size - c.live
		worth := dead > c.size-c.size/compactBelow ||
			small > manySmall && c.size < d.logSize/smallLog ||
			pressing && dead >= max(c.size/pressBelow, 2*headerSize)
		if r := float64(c.live) / float64(max(1, c.size)); worth && r < ratio {
			best, size, ratio, ok = id, c.size, r, true
		}
	}
	return best, size, ok
}

// compact moves what counts in a log to the active one, and removes the log:
//
//	write and sync the copies, then kills of the originals
//	commit an index that knows only the copies, and that the log can go
//	remove the log, sync the folder
//
// After a crash between any two of these, replay finds each record once.
func (d *Disk) compact(ctx context.Context, id uint64, size int64) error {
	if err := d.moveAll(ctx, id, size); err != nil {
		return err
	}
	x := d.index
	x.mu.Lock()
	c := x.of(id)
	needed := c.needed()
	c.condemned = needed == 0
	x.mu.Unlock()
	if needed != 0 {
		return fmt.Errorf("%w: %d bytes of records that cannot be read any more", ErrCorrupt, needed)
	}
	if err := d.save(); err != nil {
		return err
	}
	if err := d.logs.remove(id); err != nil {
		return err
	}
	x.mu.Lock()
	x.drop(id)
	x.mu.Unlock()
	d.cfg.Log.Debug("removed a log", "log", id, "bytes", size)
	return nil
}

// moveAll copies all that counts in a log to the active one.
func (d *Disk) moveAll(ctx context.Context, id uint64, size int64) error {
	l, err := d.logs.use(id)
	if err != nil {
		return err
	}
	defer l.done()
	s := newScanner(l, &d.key, id, 0, size)
	var list []moving
	bytes := int64(0)
	for {
		h, at, err := s.next()
		if errors.Is(err, io.EOF) {
			return d.move(ctx, list)
		}
		if err != nil {
			return err
		}
		counts, err := d.counts(&h, at)
		if err != nil {
			return err
		}
		if !counts {
			continue
		}
		body := make([]byte, h.size()-headerSize)
		if _, err := l.ReadAt(body, at.off+headerSize); err != nil {
			return fmt.Errorf("read log %d at %d: %w", id, at.off, err)
		}
		list = append(list, moving{placed{h, at}, body[:int(h.desc)+int(h.outboard)+int(h.data)]})
		if bytes += h.size(); bytes >= min(moveBytes, d.logSize) || len(list) >= moveCount {
			if err := d.move(ctx, list); err != nil {
				return err
			}
			list, bytes = nil, 0
		}
	}
}

func (d *Disk) move(ctx context.Context, list []moving) error {
	if len(list) == 0 {
		return nil
	}
	return d.submit(ctx, planMoves(list))
}

// counts reports whether a record must live on when its log is removed.
func (d *Disk) counts(h *header, at place) (bool, error) {
	x := d.index
	if h.isKill() {
		x.mu.RLock()
		defer x.mu.RUnlock()
		c := x.logs[h.victim.log]
		return c != nil && h.victim.log != at.log, nil
	}
	if h.kind == startRecord {
		return false, nil
	}
	bucket, key := h.recordKey()
	e, err := x.find(bucket, key)
	return e != nil && e.place == at, err
}
