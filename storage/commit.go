package storage

import (
	"errors"
	"fmt"
	"time"
)

const (
	// queueLength is how many requests may wait for the next batch.
	queueLength = 1024

	// maxBacklog is how many changes (about 200 bytes each) may wait in memory
	// before writers wait for the index to be saved.
	maxBacklog = 1 << 16

	// sentinelAge is how often the sentinel is looked for while writing.
	sentinelAge = time.Second
)

// commitLoop is the committer: the one goroutine that writes logs and changes
// the index. It ends when the requests are closed.
func (d *Disk) commitLoop() {
	defer close(d.committed)
	b := &batch{disk: d, touched: make(map[string]struct{})}
	var next *request
	for {
		r := next
		if next = nil; r == nil {
			var open bool
			if r, open = <-d.requests; !open {
				return
			}
			if !r.take() {
				continue
			}
		}
		next = d.commit(b, r)
	}
}

// commit gathers a batch that begins with first, makes it durable and answers its
// requests. It returns a request that must go into another batch, if there is
// one.
func (d *Disk) commit(b *batch, first *request) (next *request) {
	if err := d.ready(); err != nil {
		first.done <- err
		return nil
	}
	b.reset(d.cfg.Now())
	joined, next := d.gather(b, first)
	if len(joined) == 0 {
		return next
	}
	// Gathering may have failed to begin a new log, which may exist all the same.
	// Then the log before it must not grow any more.
	err := d.failure()
	if err == nil {
		err = d.write(b)
	}
	if err == nil {
		err = d.note(b)
	}
	for _, r := range joined {
		r.done <- err
	}
	return next
}

// ready refuses to write when the disk has failed or is missing, or the index
// cannot be saved.
func (d *Disk) ready() error {
	if err := d.failure(); err != nil {
		return err
	}
	now := d.cfg.Now()
	if d.suspended() != nil || now.Sub(d.seen) >= sentinelAge || now.Before(d.seen) {
		err := present(&d.cfg)
		d.suspend(err)
		if err != nil {
			return err
		}
		d.seen = now
	}
	if err := d.space.fresh(); err != nil {
		return err
	}
	if d.index.backlog() >= maxBacklog {
		if err := d.save(); err != nil {
			return err
		}
	}
	return d.mendTail()
}

// gather plans waiting requests into the batch until none waits or the batch is
// full. Those that need no record are answered immediately: with nil, or with the
// failure that the store has met meanwhile, as when a new log could not be
// synced.
func (d *Disk) gather(b *batch, first *request) (joined []*request, next *request) {
	for r := first; ; {
		m := b.mark()
		err := d.plan(b, r)
		switch {
		case errors.Is(err, errLater):
			b.undo(m)
			return joined, r
		case unreadable(err):
			b.undo(m)
			r.done <- d.spoil(err)
		case err != nil:
			b.undo(m)
			r.done <- err
		case b.mark() == m:
			r.done <- d.failure()
		default:
			b.accept(m)
			joined = append(joined, r)
		}
		if b.full() {
			return joined, nil
		}
		if r = d.poll(); r == nil {
			return joined, nil
		}
	}
}

// poll returns a request that is waiting, or nil.
func (d *Disk) poll() *request {
	for {
		select {
		case r, open := <-d.requests:
			if !open {
				return nil
			}
			if r.take() {
				return r
			}
		default:
			return nil
		}
	}
}

// plan adds a request to the batch. If that would make the log too long, the log
// is ended first, once what is in the batch already has been written.
func (d *Disk) plan(b *batch, r *request) error {
	m := b.mark()
	if err := r.plan(b); err != nil {
		return err
	}
	if b.begin+b.size <= d.logSize || b.begin <= headerSize && m.size == 0 {
		return nil
	}
	if m.size > 0 {
		return errLater
	}
	b.undo(m)
	if err := d.rotate(); err != nil {
		return err
	}
	b.reset(b.now)
	return r.plan(b)
}

// preallocation is how far ahead of the log's end the file system is asked to
// have room ready, in bytes.
const preallocation = 64 << 20

// write makes the batch durable, in its two steps. What could not be written
// is cut off again; after a failed sync nobody knows what is on the disk, so
// the store fails.
func (d *Disk) write(b *batch) error {
	begin := b.begin
	err := d.writeStep(b, begin)
	if err == nil && len(b.second) > 0 {
		b.secondStep()
		err = d.writeStep(b, begin)
	}
	return err
}

// writeStep writes and syncs what is in the batch. begin is where to cut if
// that fails.
func (d *Disk) writeStep(b *batch, begin int64) error {
	a := d.active
	if end := b.begin + b.size; end > a.reserved {
		ahead := max(b.size, min(preallocation, d.logSize-b.begin))
		a.Reserve(b.begin, ahead)
		a.reserved = b.begin + ahead
	}
	if err := a.WriteVec(b.vec(), b.begin); err != nil {
		if cut := a.Truncate(begin); cut != nil || !errors.Is(err, ErrFull) {
			return d.fail(fmt.Errorf("write log %d: %w", a.id, errors.Join(err, cut)))
		}
		a.reserved = begin
		return err
	}
	if err := a.Sync(); err != nil {
		return d.fail(fmt.Errorf("sync log %d: %w", a.id, err))
	}
	d.space.took(b.size)
	return nil
}

// note enters into the index what is now durable.
func (d *Disk) note(b *batch) error {
	x := d.index
	x.mu.Lock()
	defer x.mu.Unlock()
	dead := false
	for i := range b.records {
		r := &b.records[i]
		if _, err := x.apply(&r.h, r.at); err != nil {
			return d.spoil(fmt.Errorf("note log %d at %d: %w", r.at.log, r.at.off, err))
		}
		if r.h.isKill() {
			dead = true
		} else {
			d.damage.forget(touch(&r.h))
		}
	}
	d.active.end = b.begin + b.size
	x.grow(d.active.id, d.active.end)
	if dead {
		d.wake()
	}
	return nil
}
