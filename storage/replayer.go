package storage

import (
	"errors"
	"fmt"
	"io"
)

const (
	// replayBacklog is how many changes a replay gathers before it commits them:
	// the more it gathers, the more of them fall into one page of the index.
	replayBacklog = 1 << 20

	// rewriteBytes is how much is written over itself at a time.
	rewriteBytes = 1 << 20
)

// replayer enters into the index what it lacks of the logs. Of all records of one
// shard or fact, the last one that no kill names counts.
type replayer struct {
	unsaved bool // the index cannot be written, as on a full disk
	d       *Disk
	// replaced are the records that a later one has replaced, by what they are
	// about: they count again if the later one is killed and they are not.
	replaced map[string][]placed
	buf      []byte
}

// tail tells how a log ends.
type tail struct {
	end  int64
	torn []placed // records whose bytes did not all reach the disk
	bad  int64    // bytes that are no records
}

// log enters into the index what it lacks of a log. In the last log a crash may
// have left records without all of their bytes. Every other log was synced before
// the next was begun, or else the next begins with kills of its torn records.
func (r *replayer) log(id uint64, last bool) (t tail, err error) {
	x := r.d.index
	l, err := r.d.logs.use(id)
	if err != nil {
		return tail{}, err
	}
	defer l.done()
	size, err := l.Size()
	if err != nil {
		return tail{}, fmt.Errorf("size of log %d: %w", id, err)
	}
	t.end = size
	from := x.of(id).size
	if from == size {
		return t, nil
	}
	if last {
		if err := rewrite(l, from, size); err != nil {
			return tail{}, fmt.Errorf("sync log %d: %w: %w", id, ErrFailed, err)
		}
	}
	if err := r.records(l, from, &t, last); err != nil {
		return tail{}, err
	}
	x.mu.Lock()
	x.grow(id, size)
	x.mu.Unlock()
	if t.bad > 0 || len(t.torn) > 0 {
		r.d.cfg.Log.Warn("passed over bytes that are no records", "log", id, "bytes", t.bad, "torn", len(t.torn))
	}
	return t, nil
}

// rewrite makes durable what a log shows from some offset on, by writing it
// again. An earlier run may have failed to sync it: the system then shows bytes
// that it has given up bringing to the disk, and a sync alone would report
// success. Overwriting bytes with themselves is safe in a crash.
func rewrite(l *logFile, from, size int64) error {
	buf := make([]byte, rewriteBytes)
	for off := from; off < size; off += rewriteBytes {
		b := buf[:min(rewriteBytes, size-off)]
		if _, err := l.ReadAt(b, off); err != nil {
			return err
		}
		err := l.WriteVec([][]byte{b}, off)
		if errors.Is(err, ErrFull) {
			break // a full file system that never writes in place; the store must open all the same
		}
		if err != nil {
			return err
		}
	}
	return l.Sync()
}

func (r *replayer) records(l *logFile, from int64, t *tail, last bool) error {
	s := newScanner(l, &r.d.key, l.id, from, t.end)
	for {
		h, at, err := s.next()
		if errors.Is(err, io.EOF) {
			t.bad = s.bad
			return nil
		}
		if err == nil && last {
			err = intact(l, &h, at, r.buf)
		}
		switch {
		case errors.Is(err, ErrCorrupt):
			t.torn = append(t.torn, placed{h, at})
			continue
		case err != nil:
			return fmt.Errorf("read log %d at %d: %w", l.id, s.off, err)
		}
		if err := r.record(&h, at); err != nil {
			return err
		}
	}
}

func (r *replayer) record(h *header, at place) error {
	x := r.d.index
	x.mu.Lock()
	err := r.apply(h, at)
	x.grow(at.log, at.off+h.size())
	x.mu.Unlock()
	if err != nil {
		return err
	}
	if r.unsaved || x.backlog() < replayBacklog {
		return nil
	}
	if err := x.save(); unreadable(err) {
		return err
	} else if err != nil {
		r.unsaved = true // all of it waits in memory; Open tries once more
	}
	return nil
}

// apply notes a record, and remembers what it replaced. The caller holds the
// index's mu.
func (r *replayer) apply(h *header, at place) error {
	x := r.d.index
	old, err := x.apply(h, at)
	if err != nil || h.kind == startRecord {
		return err
	}
	what := touch(h)
	if old != nil {
		lost := *h
		lost.group = old.group
		r.replaced[what] = append(r.replaced[what], placed{lost, old.place})
		return nil
	}
	list := r.replaced[what]
	if !h.isKill() || len(list) == 0 {
		return nil
	}
	for i, p := range list {
		if p.at == h.victim {
			r.keep(what, append(list[:i:i], list[i+1:]...))
			return nil
		}
	}
	bucket, key := h.recordKey()
	if now, err := x.lookup(bucket, key); err != nil || now != nil {
		return err
	}
	back := list[len(list)-1]
	r.keep(what, list[:len(list)-1])
	return r.restore(back.at)
}

func (r *replayer) keep(what string, list []placed) {
	if len(list) == 0 {
		delete(r.replaced, what)
		return
	}
	r.replaced[what] = list
}

// restore notes once more the record at a place.
func (r *replayer) restore(at place) error {
	l, err := r.d.logs.use(at.log)
	if err != nil {
		return err
	}
	defer l.done()
	b := make([]byte, headerSize)
	if _, err := l.ReadAt(b, at.off); err != nil {
		return fmt.Errorf("read log %d at %d: %w", at.log, at.off, err)
	}
	h, err := parseHeader(b, &r.d.key, at)
	if errors.Is(err, errNoRecord) {
		r.d.cfg.Log.Warn("a record has rotted", "log", at.log, "offset", at.off)
		return nil
	}
	if err != nil {
		return fmt.Errorf("log %d at %d: %w", at.log, at.off, err)
	}
	_, err = r.d.index.apply(&h, at)
	return err
}
