package storage

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// replayBacklog is how many changes a replay gathers before it commits them:
// the more, the more of them fall into one page of the index.
const replayBacklog = 1 << 20

// rewriteBytes is how much is written over itself at a time.
const rewriteBytes = 1 << 20

// openIndex opens the index, or makes an empty one where it is missing,
// damaged, or tells of other logs than are there. Only what it tells of logs
// that grew since, or are new, may be missing in it.
func (d *Disk) openIndex(ids []uint64) error {
	for again := false; ; again = true {
		db, err := kv.Open(d.cfg.Index, kv.Options{})
		if err == nil {
			sum := protocol.Sum(d.key[:])
			d.index = &index{table: newTable(db), ledger: newLedger(), store: sum[:]}
			if err = d.index.load(); err == nil {
				err = d.fits(ids)
			}
			if err != nil {
				err = errors.Join(err, db.Close())
			}
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, kv.ErrInUse):
			return ErrInUse
		case again || !unreadable(err):
			return err
		}
		d.cfg.Log.Warn("making the index again", "path", d.cfg.Index, "why", err)
		if err := os.Remove(d.cfg.Index); err != nil {
			return err
		}
	}
}

// fits returns errIndex unless the index can be brought up to date by reading
// what it does not know of the logs.
func (d *Disk) fits(ids []uint64) error {
	x := d.index
	highest := uint64(0)
	for id, c := range x.logs {
		highest = max(highest, id)
		if c.condemned {
			continue
		}
		if !slices.Contains(ids, id) {
			return fmt.Errorf("%w: log %d is gone", errIndex, id)
		}
		size, err := d.logSizeOf(id)
		if err != nil {
			return err
		}
		if size < c.size {
			return fmt.Errorf("%w: log %d is shorter than it was", errIndex, id)
		}
	}
	for _, id := range ids {
		if id < highest && x.logs[id] == nil {
			return fmt.Errorf("%w: log %d is unknown", errIndex, id)
		}
	}
	return nil
}

func (d *Disk) logSizeOf(id uint64) (int64, error) {
	l, err := d.logs.use(id)
	if err != nil {
		return 0, err
	}
	defer l.done()
	return l.Size()
}

// replay brings the index up to date with the logs, and finds the place to
// write on. It returns kills that are owed: of records whose place was taken
// without a kill, because a crash came between the two.
func (d *Disk) replay(ids []uint64) (owed []placed, err error) {
	if ids, err = d.removeCondemned(ids); err != nil {
		return nil, err
	}
	for _, id := range ids {
		d.index.of(id) // known, so that kills of what lies in it count
	}
	orphans := make(map[place]header)
	var last tail
	for i, id := range ids {
		next := uint64(0)
		if i+1 < len(ids) {
			next = ids[i+1]
		}
		if last, err = d.replayLog(id, next, orphans); err != nil {
			return nil, err
		}
	}
	if err := d.resume(ids, last); err != nil {
		return nil, err
	}
	for at, h := range orphans {
		owed = append(owed, placed{h, at})
	}
	return owed, nil
}

// removeCondemned finishes the removal of logs that a crash interrupted.
func (d *Disk) removeCondemned(ids []uint64) (rest []uint64, err error) {
	x := d.index
	for id, c := range x.logs {
		if !c.condemned {
			continue
		}
		if slices.Contains(ids, id) {
			if err := d.logs.remove(id); err != nil {
				return nil, err
			}
		}
		ids = slices.DeleteFunc(ids, func(o uint64) bool { return o == id })
		x.drop(id)
	}
	return ids, nil
}

// tail tells how a log ends.
type tail struct {
	end  int64
	torn []placed // records whose bytes did not all reach the disk
	bad  int64    // bytes that are no records
}

// replayLog notes what the index does not know of a log. Of the last log (next
// is 0) a crash may have left records without all of their bytes; the others
// were synced before the next was begun, or that one begins with kills of what
// was torn.
func (d *Disk) replayLog(id, next uint64, orphans map[place]header) (t tail, err error) {
	x, last := d.index, next == 0
	l, err := d.logs.use(id)
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
	torn, err := d.tornBefore(next)
	if err != nil {
		return tail{}, err
	}
	if err := d.replayRecords(l, from, &t, last, torn, orphans); err != nil {
		return tail{}, err
	}
	x.mu.Lock()
	x.grow(id, size)
	x.mu.Unlock()
	if t.bad > 0 || len(t.torn) > 0 {
		d.cfg.Log.Warn("passed over bytes that are no records", "log", id, "bytes", t.bad, "torn", len(t.torn))
	}
	return t, nil
}

// rewrite makes durable what a log shows from some offset on. An earlier run
// may have failed to: the system then shows bytes that it has given up to bring
// to the disk, and a sync alone would say that all is well. Bytes written over
// themselves take no harm from a crash.
func rewrite(l *logFile, from, size int64) error {
	buf := make([]byte, rewriteBytes)
	for off := from; off < size; off += rewriteBytes {
		b := buf[:min(rewriteBytes, size-off)]
		if _, err := l.ReadAt(b, off); err != nil {
			return err
		}
		err := l.WriteVec([][]byte{b}, off)
		if errors.Is(err, ErrFull) {
			break // a file system that writes nothing in place; it must open, though full
		}
		if err != nil {
			return err
		}
	}
	return l.Sync()
}

func (d *Disk) replayRecords(l *logFile, from int64, t *tail, last bool, torn map[place]bool, orphans map[place]header) error {
	s := newScanner(l, &d.key, l.id, from, t.end)
	buf := make([]byte, window)
	for {
		h, at, err := s.next()
		switch {
		case errors.Is(err, io.EOF):
			t.bad = s.bad
			return nil
		case err != nil:
			return err
		case torn[at]:
			continue
		case last && intact(l, &h, at, buf) != nil:
			t.torn = append(t.torn, placed{h, at})
			continue
		}
		if err := d.replayRecord(&h, at, orphans); err != nil {
			return err
		}
	}
}

// tornBefore returns which records the kills at the start of a log name. They
// must not even take the place of those that they were to replace.
func (d *Disk) tornBefore(next uint64) (map[place]bool, error) {
	if next == 0 {
		return nil, nil
	}
	l, err := d.logs.use(next)
	if err != nil {
		return nil, err
	}
	defer l.done()
	size, err := l.Size()
	if err != nil {
		return nil, fmt.Errorf("size of log %d: %w", next, err)
	}
	torn := make(map[place]bool)
	s := newScanner(l, &d.key, next, 0, size)
	for {
		h, _, err := s.next()
		switch {
		case errors.Is(err, io.EOF), err == nil && h.kind != startRecord && !h.isKill():
			return torn, nil
		case err != nil:
			return nil, err
		case h.isKill():
			torn[h.victim] = true
		}
	}
}

func (d *Disk) replayRecord(h *header, at place, orphans map[place]header) error {
	x := d.index
	x.mu.Lock()
	old, err := x.apply(h, at)
	x.grow(at.log, at.off+h.size())
	x.mu.Unlock()
	if err != nil {
		return err
	}
	if old != nil {
		lost := *h
		lost.group = old.group
		orphans[old.place] = lost
	}
	if h.isKill() {
		delete(orphans, h.victim)
	}
	if x.backlog() >= replayBacklog {
		return x.save()
	}
	return nil
}

// resume finds where to write on: behind the last log's records, or in a new
// log if the last one ends in anything else. What a crash left is never cut
// off or written over: nobody can tell it from what was synced and rotted.
func (d *Disk) resume(ids []uint64, last tail) error {
	if len(ids) == 0 {
		return d.begin(1, nil)
	}
	id := ids[len(ids)-1]
	if last.bad > 0 || len(last.torn) > 0 {
		return d.begin(id+1, last.torn)
	}
	return d.activate(id, last.end)
}

// sweep removes files that a crash left half-made. Only those of our own names:
// a donated folder may hold files of others.
func sweep(cfg *Config, dir string) error {
	names, err := cfg.FS.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, n := range names {
		if made, half := strings.CutSuffix(n, newSuffix); half && ours(made) {
			if err := cfg.FS.Remove(filepath.Join(dir, n)); err != nil {
				return err
			}
		}
	}
	return nil
}

// ours reports whether writeFile makes files of a name.
func ours(name string) bool {
	_, isLog := logNumber(name)
	return isLog || name == sentinelName
}
