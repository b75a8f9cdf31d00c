package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// target is a file in the making: bytes go to a partial file in the folder of
// the final one, which appears when they are whole.
type target struct {
	*partial
	path  string // the final one; empty: decided later
	dir   string
	force bool
	done  bool // the partial file has its name
}

// errExists says that nothing is overwritten unasked.
var errExists = errors.New("it exists")

// newTarget opens the partial file of a link for path; where path is a folder,
// the name comes later by name. Nothing that exists is touched without force.
func newTarget(path string, force bool, link protocol.PointerID) (*target, error) {
	t := &target{force: force, dir: path}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		t.dir, t.path = filepath.Dir(path), path
		if err := t.check(); err != nil {
			return nil, err
		}
	}
	p, err := openPartial(t.dir, link)
	if err != nil {
		return nil, withHint(fmt.Errorf("write %q: %w", path, cause(err)), "choose a folder that exists and that you may write to")
	}
	t.partial = p
	return t, nil
}

// cause drops the path that an error of package os repeats.
func cause(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// name settles the final name, if it is not yet, by the one that a link gives.
func (t *target) name(name string) error {
	if t.path != "" {
		return nil
	}
	if err := checkName(name); err != nil {
		return withHint(fmt.Errorf("get: the link's file calls itself by a name that is not safe here: %w", err),
			"name it yourself: \"cairn get LINK NAME\"")
	}
	t.path = filepath.Join(t.dir, name)
	return t.check()
}

func (t *target) check() error {
	if t.force {
		return nil
	}
	if _, err := os.Lstat(t.path); err == nil {
		return t.exists()
	}
	return nil
}

func (t *target) exists() error {
	return withHint(fmt.Errorf("write %q: %w", t.path, errExists), "\"--force\" overwrites it; or name another file")
}

// finish gives the file its size, its rights and its name: sync, rename, sync
// the folder. The rights are those of any new file: what was fetched is no more
// secret than the user's others.
func (t *target) finish(size int64, mtime time.Time) error {
	err := errors.Join(t.data.Truncate(size), t.data.Chmod(newFileMode))
	if err == nil {
		err = t.data.Sync()
	}
	if !mtime.IsZero() {
		_ = os.Chtimes(t.data.Name(), mtime, mtime) // an odd time is no reason to lose the file
	}
	if !removesOpen {
		err = errors.Join(err, t.data.Close()) // a file that is open keeps its name there
	}
	if err == nil {
		err = t.rename()
	}
	if err != nil {
		_ = t.data.Chmod(0o600)
		if errors.Is(err, errExists) {
			return t.exists()
		}
		return fmt.Errorf("write %q: %w", t.path, cause(err))
	}
	t.done = true
	t.closeTags(true)
	_ = t.data.Close() // it is synced
	return syncDir(t.dir)
}

// rename never replaces a file that has appeared meanwhile: a hard link fails
// where the name is taken. File systems without them get the plain check.
func (t *target) rename() error {
	if t.force {
		return os.Rename(t.data.Name(), t.path)
	}
	err := os.Link(t.data.Name(), t.path)
	if err == nil {
		return os.Remove(t.data.Name())
	}
	if errors.Is(err, fs.ErrExist) {
		return errExists
	}
	if err := t.check(); err != nil {
		return errExists
	}
	return os.Rename(t.data.Name(), t.path)
}

// abandon gives up what has no final name. It returns the name of what another
// get can go on with, or "": then nothing is left behind. After finish it does
// nothing.
func (t *target) abandon() (kept string) {
	if t.done {
		return ""
	}
	t.done = true
	return t.close()
}
