package storage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	// lookEvery is how often a Folder looks whether its disk is there.
	lookEvery = 5 * time.Second
	// maxLookEvery is the longest interval for a store that cannot be opened
	// again: each try may cost reading all its headers.
	maxLookEvery = 5 * time.Minute
	// missedLooks is how many looks in a row must find the disk missing before
	// its files are closed: a process that is short of descriptors fails a look,
	// too.
	missedLooks = 2
)

// Folder is a Disk that outlives its disk. While the disk is missing the store is
// closed, so that nothing keeps the disk from being unmounted or checked, and
// nothing is written into files that have lost their names; when the disk is back
// the store is opened again. It is also closed and opened again when another copy
// of the store has come into its place, when its logs were removed, and when a
// file system that had become read-only can be written to. A store that failed
// for any other cause stays failed: a person should look at what its disk has
// lost.
type Folder struct {
	cfg Config

	stop  context.CancelFunc
	loops sync.WaitGroup

	// The loop's own.
	lock   os.FileInfo // of the open store's lock file: it tells the store from a copy
	missed int         // looks in a row that did not find the disk
	wait   time.Duration

	mu     sync.Mutex // guards what follows
	disk   *Disk      // nil: closed until its disk is back
	was    Usage      // what Usage tells while disk is nil
	closed bool
}

var _ Store = (*Folder)(nil)

// OpenFolder is Open for a folder of the operating system whose disk may come
// and go: cfg.FS must be nil, or lead to the same files. Its errors are those of Open.
func OpenFolder(cfg Config) (*Folder, error) {
	f := &Folder{cfg: cfg.withDefaults(), wait: lookEvery}
	d, err := f.open()
	if err != nil {
		return nil, err
	}
	f.disk = d
	f.cfg.Existing = true
	ctx, stop := context.WithCancel(context.Background())
	f.stop = stop
	f.loops.Go(func() { f.watch(ctx) })
	return f, nil
}

// open opens the store and notes what tells it from a copy: its lock file, which
// stays open, so that no other file gets the same inode number.
func (f *Folder) open() (*Disk, error) {
	d, err := Open(f.cfg)
	if err != nil {
		return nil, err
	}
	if f.lock, err = os.Stat(filepath.Join(f.cfg.Dir, lockName)); err != nil {
		return nil, errors.Join(fmt.Errorf("open store %s: %w: %w", f.cfg.Dir, ErrSuspended, err), d.Close())
	}
	return d, nil
}

func (f *Folder) watch(ctx context.Context) {
	for {
		t := time.NewTimer(f.wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		f.look()
	}
}

// look checks the disk and does what is needed, at most one step.
func (f *Folder) look() {
	f.mu.Lock()
	d := f.disk
	f.mu.Unlock()
	switch {
	case d == nil:
		f.reopen()
	case f.isGone():
		if f.missed++; f.missed >= missedLooks {
			f.letGo(d, ErrSuspended)
		}
	case f.isOther() || d.lost():
		f.cfg.Log.Warn("other files lie in a donated folder than its store has open; it is opened anew", "dir", f.cfg.Dir)
		f.letGo(d, ErrSuspended)
		f.reopen()
	case errors.Is(d.failure(), syscall.EROFS) && f.tryWrite() == nil:
		f.cfg.Log.Warn("a disk that was read-only can be written to; its store is opened anew", "dir", f.cfg.Dir)
		f.letGo(d, ErrSuspended)
		f.reopen()
	default:
		f.missed = 0
	}
}

// isGone reports whether the store is no longer where it was.
func (f *Folder) isGone() bool {
	_, err := os.Stat(filepath.Join(f.cfg.Dir, lockName))
	return present(&f.cfg) != nil || err != nil && !errors.Is(err, fs.ErrNotExist)
}

// isOther reports whether the files that have the store's names now are not those
// that it has open.
func (f *Folder) isOther() bool {
	now, err := os.Stat(filepath.Join(f.cfg.Dir, lockName))
	return err != nil || !os.SameFile(f.lock, now)
}

// tryWrite makes a file and removes it. If a crash leaves it there, the next Open
// sweeps it away.
func (f *Folder) tryWrite() error {
	name := filepath.Join(f.cfg.Dir, sentinelName+newSuffix)
	file, err := f.cfg.FS.Create(name)
	if err != nil {
		return err
	}
	err = file.WriteVec([][]byte{[]byte("try\n")}, 0)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close(), f.cfg.FS.Remove(name))
}

// letGo closes the store. Until it is open again, calls return why.
func (f *Folder) letGo(d *Disk, why error) {
	u := d.Usage()
	u.Free, u.Err = 0, why
	f.mu.Lock()
	f.disk, f.was = nil, u
	f.mu.Unlock()
	f.missed = 0
	if err := d.Close(); err != nil {
		f.cfg.Log.Debug("closing a store whose disk is missing", "dir", f.cfg.Dir, "err", err)
	}
}

// reopen opens the store, if its disk is there.
func (f *Folder) reopen() {
	d, err := f.open()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.failed(err)
		return
	}
	f.disk, f.wait = d, lookEvery
	f.cfg.Log.Warn("the disk of a donated folder is back", "dir", f.cfg.Dir)
}

// failed notes why the store could not be opened. mu is held.
func (f *Folder) failed(err error) {
	if errors.Is(err, ErrSuspended) {
		f.was.Err, f.wait = err, lookEvery
		return
	}
	err = fmt.Errorf("%w: %w", ErrSuspended, err)
	if f.was.Err.Error() != err.Error() {
		f.cfg.Log.Error("the disk of a donated folder is back, and its store cannot be opened", "err", err)
	}
	f.was.Err, f.wait = err, min(2*f.wait, maxLookEvery)
}
