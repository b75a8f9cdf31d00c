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

// spoil is fail for an index that cannot be believed: it is removed, and made
// again by the next Open.
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

// save lets the index follow the logs. A full disk, or one that is not there,
// costs nothing: all waits in memory. Of an index that the disk failed to write
// nobody knows what the next process would find in it.
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

// lost reports whether the log that is written to has lost its name: what was
// written there would be gone with the process.
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
