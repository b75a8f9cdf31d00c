package storage

import (
	"errors"
	"fmt"
	"io/fs"
)

// activeLog is the log that is written to: always the one with the highest
// number.
type activeLog struct {
	*logFile
	end      int64 // of what is synced
	reserved int64 // the file system has room ready up to here
}

// rotate ends the active log and begins the next.
func (d *Disk) rotate() error {
	_ = d.active.Truncate(d.active.end) // gives back what was reserved; cuts no data
	return d.beginNext(nil)
}

// beginNext begins the log after the active one. If that fails the store fails,
// too, since all logs but the last are taken to be synced to their ends. It goes
// on only when the disk is full and nothing of the next log is there.
func (d *Disk) beginNext(kills []placed) error {
	id := d.active.id + 1
	err := d.begin(id, kills)
	if err == nil {
		return nil
	}
	if l, made := d.logs.use(id); made == nil {
		l.done()
	} else if errors.Is(err, ErrFull) && errors.Is(made, fs.ErrNotExist) {
		return err
	}
	return d.fail(err)
}

// mendTail begins the new log that a damaged end of the last one requires, if
// that could not be done when the store was opened: the disk was full to its last
// byte.
func (d *Disk) mendTail() error {
	if d.torn == nil {
		return nil
	}
	if err := d.beginNext(d.torn.torn); err != nil {
		return err
	}
	d.torn = nil
	return nil
}

// begin makes log id, whole with its first records or not at all: the start, and
// kills of the torn records at the end of the log before.
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
