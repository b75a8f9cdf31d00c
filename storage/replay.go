package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// openIndex opens the index, or makes an empty one if it is missing, damaged, or
// does not fit the logs. All that it may lack are new logs, and the ends of logs
// that have grown since.
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

// replay brings the index up to date with the logs, and finds where to go on
// writing. It returns the records that are still owed a kill: they were replaced,
// but a crash came before the kill was written.
func (d *Disk) replay(ids []uint64) (owed []placed, err error) {
	if ids, err = d.removeCondemned(ids); err != nil {
		return nil, err
	}
	for _, id := range ids {
		d.index.of(id) // known, so that kills of what lies in it count
	}
	r := &replayer{d: d, replaced: make(map[string][]placed), buf: make([]byte, window)}
	var last tail
	for i, id := range ids {
		if last, err = r.log(id, i == len(ids)-1); err != nil {
			return nil, err
		}
	}
	if err := d.resume(ids, last); err != nil {
		return nil, err
	}
	for _, list := range r.replaced {
		owed = append(owed, list...)
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

// resume finds where to go on writing: after the last log's records, or in a new
// log if the last one ends in anything else. What a crash left is never cut off
// or overwritten: nobody can tell it from synced bytes that have rotted. If the
// disk has no room for the new log, what is stored is served all the same.
func (d *Disk) resume(ids []uint64, last tail) error {
	if len(ids) == 0 {
		return d.begin(1, nil)
	}
	id := ids[len(ids)-1]
	if err := d.activate(id, last.end); err != nil || last.bad == 0 && len(last.torn) == 0 {
		return err
	}
	d.torn = &last
	err := d.mendTail()
	if errors.Is(err, ErrFull) && d.failure() == nil {
		d.cfg.Log.Warn("the disk is full to the last byte: nothing can be stored or deleted till there is room", "dir", d.cfg.Dir)
		return nil
	}
	return err
}

// sweep removes files that a crash left half-made, but only those with names of
// ours: a donated folder may hold files of others.
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

// ours reports whether a file with this name is one that writeFile makes.
func ours(name string) bool {
	_, isLog := logNumber(name)
	return isLog || name == sentinelName
}
