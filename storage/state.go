package storage

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/cairnstore/cairn/storage/kv"
)

// fail makes the store acknowledge nothing any more.
func (d *Disk) fail(cause error) error {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	if d.failed == nil {
		d.failed = fmt.Errorf("%w: %w", ErrFailed, cause)
		d.cfg.Log.Error("store failed; nothing is stored till it is opened again", "dir", d.cfg.Dir, "err", cause)
	}
	return d.failed
}

// spoil is fail for an index that cannot be trusted: it is removed, and the next
// Open makes it again.
func (d *Disk) spoil(cause error) error {
	d.stateMu.Lock()
	d.spoilt = true
	d.stateMu.Unlock()
	_ = d.dropIndex() // a crash may come before Close; where open files cannot be removed, Close does it
	return d.fail(fmt.Errorf("index: %w", cause))
}

// dropIndex removes the index's file.
func (d *Disk) dropIndex() error {
	err := os.Remove(d.cfg.Index)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = kv.SyncDir(filepath.Dir(d.cfg.Index))
	}
	return err
}

// save brings the index up to date with the logs. A full or missing disk does no
// harm: everything waits in memory. But if the disk fails while it writes the
// index, nobody knows what the next process would find there, and the store
// fails.
func (d *Disk) save() error {
	err := d.index.save()
	if err == nil || !unreadable(err) && !errors.Is(err, syscall.EIO) {
		return err
	}
	if gone := present(&d.cfg); gone != nil {
		return gone
	}
	return d.spoil(err)
}

// lost reports whether the active log has lost its name, as when its file was
// removed: what is written to it would be gone when the process ends.
func (d *Disk) lost() bool {
	f, err := d.cfg.FS.Open(d.logs.name(d.logs.newest()))
	if err == nil {
		_ = f.Close() // nothing was written
	}
	return errors.Is(err, fs.ErrNotExist)
}

func (d *Disk) failure() error {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	return d.failed
}

// suspend notes whether the sentinel is missing.
func (d *Disk) suspend(err error) {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	switch {
	case err != nil && d.missing == nil:
		d.cfg.Log.Error("the disk of a donated folder is missing; nothing is stored there till it is back", "dir", d.cfg.Dir, "err", err)
	case err == nil && d.missing != nil:
		d.cfg.Log.Warn("the disk of a donated folder is back", "dir", d.cfg.Dir)
	}
	d.missing = err
}

func (d *Disk) suspended() error {
	d.stateMu.Lock()
	defer d.stateMu.Unlock()
	return d.missing
}
