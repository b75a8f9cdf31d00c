package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
)

// activeLog is the log that is written to: always that of the highest number.
type activeLog struct {
	*logFile
	end      int64 // of what is synced
	reserved int64 // the file system has room ready up to here
}

// rotate ends the active log and begins the next.
func (d *Disk) rotate() error {
	_ = d.active.Truncate(d.active.end) // gives back what was reserved; nothing is cut
	err := d.begin(d.active.id+1, nil)
	if err != nil && !errors.Is(err, ErrFull) {
		return d.fail(err)
	}
	return err
}

// begin makes log id, whole with its first records or not at all: the start,
// and kills of what was found torn in the log before.
func (d *Disk) begin(id uint64, kills []placed) error {
	now := d.cfg.Now()
	first := []placed{{header{kind: startRecord, group: [32]byte(d.key), stored: now.UnixNano()}, place{id, 0}}}
	for _, k := range kills {
		at := place{id, int64(len(first)) * headerSize}
		first = append(first, placed{k.h.kill(k.at, now), at})
	}
	var b []byte
	for i := range first {
		b = first[i].h.appendTo(b, &d.key, first[i].at)
	}
	if err := writeFile(d.cfg.FS, d.logs.dir, d.logs.name(id), b); err != nil {
		return fmt.Errorf("begin log %d: %w", id, err)
	}
	if err := d.activate(id, int64(len(b))); err != nil {
		return err
	}
	x := d.index
	x.mu.Lock()
	defer x.mu.Unlock()
	x.grow(id, int64(len(b)))
	for i := range first {
		if _, err := x.apply(&first[i].h, first[i].at); err != nil {
			return err
		}
	}
	return nil
}

// activate writes to log id from now on, from end.
func (d *Disk) activate(id uint64, end int64) error {
	l, err := d.logs.use(id)
	if err != nil {
		return err
	}
	if d.active != nil {
		d.active.done()
	}
	d.active = &activeLog{logFile: l, end: end, reserved: end}
	return nil
}

// doubt notes that nobody knows what is on the disk of a log behind off. The
// system may show bytes there that never reached it, even to whoever opens
// the store again: they are cut off then. None of them was acknowledged. Where
// not even the note can be written, the disk is read-only or gone, and what it
// showed goes with its mount.
func (d *Disk) doubt(log uint64, off int64) {
	name := filepath.Join(d.cfg.Dir, failedName)
	if err := writeFile(d.cfg.FS, d.cfg.Dir, name, fmt.Appendf(nil, doubtFormat, log, off)); err != nil {
		d.cfg.Log.Error("cannot note what the disk lost", "err", err)
	}
}

const doubtFormat = "log %d offset %d\n"

// settle cuts off what an earlier run left in doubt.
func settle(cfg *Config, logs *logSet) error {
	name := filepath.Join(cfg.Dir, failedName)
	b, err := readFile(cfg.FS, name, sentinelMax)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var log uint64
	var off int64
	if _, err := fmt.Sscanf(string(b), doubtFormat, &log, &off); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if err := cut(cfg, logs.name(log), off); err != nil {
		return fmt.Errorf("cut log %d at %d: %w", log, off, err)
	}
	cfg.Log.Warn("cut off what the disk had failed to keep", "log", log, "offset", off)
	if err := cfg.FS.Remove(name); err != nil {
		return err
	}
	return cfg.FS.SyncDir(cfg.Dir)
}

func cut(cfg *Config, name string, off int64) error {
	f, err := cfg.FS.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	size, err := f.Size()
	if err == nil && size > off {
		if err = f.Truncate(off); err == nil {
			err = f.Sync()
		}
	}
	return errors.Join(err, f.Close())
}
