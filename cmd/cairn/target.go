package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// target is a file in the making: bytes go to a temporary name in the folder
// of the final one, which appears when they are whole.
type target struct {
	*os.File
	path  string // the final one; empty: decided later
	dir   string
	force bool
}

// errExists says that nothing is overwritten unasked.
var errExists = errors.New("it exists")

// newTarget makes the temporary file for path; where path is a folder, the
// name comes later by name. Nothing that exists is touched without force.
func newTarget(path string, force bool) (*target, error) {
	t := &target{force: force, dir: path}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		t.dir, t.path = filepath.Dir(path), path
		if err := t.check(); err != nil {
			return nil, err
		}
	}
	f, err := createTemp(t.dir)
	if err != nil {
		return nil, withHint(fmt.Errorf("write %q: %w", path, cause(err)), "choose a folder that exists and that you may write to")
	}
	t.File = f
	return t, nil
}

// createTemp makes a file as any program would, subject to the user's mask: a
// file that is fetched is no more secret than the user's others.
func createTemp(dir string) (*os.File, error) {
	for i := 0; ; i++ {
		name := filepath.Join(dir, fmt.Sprintf(".cairn-%d-%d.part", os.Getpid(), i))
		f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o666)
		if !errors.Is(err, fs.ErrExist) {
			return f, err
		}
	}
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

// finish gives the file its name: sync, rename, sync the folder.
func (t *target) finish(mtime time.Time) error {
	err := t.Sync()
	if !mtime.IsZero() {
		_ = os.Chtimes(t.Name(), mtime, mtime) // an odd time is no reason to lose the file
	}
	err = errors.Join(err, t.Close())
	if err == nil {
		err = t.rename()
	}
	if err != nil {
		_ = os.Remove(t.Name())
		return fmt.Errorf("write %q: %w", t.path, err)
	}
	return syncDir(t.dir)
}

// rename never replaces a file that has appeared meanwhile: a hard link fails
// where the name is taken. File systems without them get the plain check.
func (t *target) rename() error {
	if t.force {
		return os.Rename(t.Name(), t.path)
	}
	err := os.Link(t.Name(), t.path)
	if err == nil {
		return os.Remove(t.Name())
	}
	if errors.Is(err, fs.ErrExist) {
		return errExists
	}
	if err := t.check(); err != nil {
		return errExists
	}
	return os.Rename(t.Name(), t.path)
}

// abandon leaves nothing behind; after finish it does nothing.
func (t *target) abandon() {
	if t.Close() == nil {
		_ = os.Remove(t.Name())
	}
}
