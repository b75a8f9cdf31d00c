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

// target is the file that a get makes: bytes go to a partial file in the folder of
// the final one, which appears when all are there.
type target struct {
	*partial
	path  string // the final one; empty: decided later
	dir   string
	force bool
	done  bool // the partial file has its name
}

// errExists says that a file exists, which is not overwritten unasked.
var errExists = errors.New("it exists")

// newTarget opens the partial file of a link for path. If path is a folder, the method
// name sets the file's name later. Nothing that exists is touched without force.
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

// name sets the final name to the one that a link gives, unless it is set already.
func (t *target) name(name string) error {
	if t.path != "" {
		return nil
	}
	if err := checkGivenName(name); err != nil {
		return withHint(fmt.Errorf("get: the link's file calls itself by a name that is not safe here: %w", err),
			"name it yourself: \"cairn get LINK NAME\"")
	}
	t.path = filepath.Join(t.dir, name)
	return t.check()
}

// check refuses a final name that is taken. With force it may be taken by a file, or
// by a link to one, which is itself replaced; never by anything else: a device, a pipe
// or what leads to one, as /dev/stdout does, would be gone for all its users.
func (t *target) check() error {
	if _, err := os.Lstat(t.path); err != nil {
		return nil
	}
	info, err := os.Stat(t.path)
	switch {
	case err != nil:
		return withHint(fmt.Errorf("write %q: it leads nowhere", t.path), "remove it, or name another file")
	case info.IsDir():
		return withHint(fmt.Errorf("write %q: it is a folder", t.path), "name a file: \"cairn get LINK NAME\"")
	case !info.Mode().IsRegular() || isStream(info):
		return withHint(fmt.Errorf("write %q: it is no file, and would be replaced by one", t.path),
			"\"cairn get LINK -\" and \"cairn cat LINK\" write to standard output")
	case !t.force:
		return withHint(fmt.Errorf("write %q: %w", t.path, errExists), "\"--force\" overwrites it; or name another file")
	}
	return nil
}

// isStream reports whether a file is what standard output or standard error goes
// to: then the name that leads there is meant, not the file.
func isStream(info fs.FileInfo) bool {
	for _, f := range []*os.File{os.Stdout, os.Stderr} {
		if to, err := f.Stat(); err == nil && os.SameFile(info, to) {
			return true
		}
	}
	return false
}

// finish gives the file its size, its rights and its name: sync, rename, sync the
// folder. The rights are those of any new file: what was fetched is no more secret
// than the user's other files. They are set just before the rename, and openOwn
// accepts them, so that a get that was killed at any point is taken up again.
func (t *target) finish(size int64, mtime time.Time) error {
	err := t.data.Truncate(size)
	if err == nil {
		err = t.data.Sync()
	}
	if !mtime.IsZero() {
		_ = os.Chtimes(t.data.Name(), mtime, mtime) // an odd time is no reason to lose the file
	}
	if err == nil {
		err = t.data.Chmod(newFileMode)
	}
	if !removesOpen {
		err = errors.Join(err, t.data.Close()) // here an open file cannot be renamed
	}
	if err == nil {
		err = t.rename()
	}
	if err != nil {
		_ = t.data.Chmod(0o600)
		if errors.As(err, new(*hintedError)) {
			return err
		}
		return fmt.Errorf("write %q: %w", t.path, cause(err))
	}
	t.done = true
	t.closeTags(true)
	_ = t.data.Close() // it is synced
	if err := syncDir(t.dir); !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return nil // the user may write to the folder and not read it: then it cannot be synced
}

// rename never replaces a file that has appeared meanwhile: making a hard link fails
// if the name is taken. On file systems without hard links, and with force, it only
// checks before.
func (t *target) rename() error {
	if !t.force {
		err := os.Link(t.data.Name(), t.path)
		if err == nil {
			return os.Remove(t.data.Name())
		}
	}
	if err := t.check(); err != nil {
		return err
	}
	return os.Rename(t.data.Name(), t.path)
}

// abandon gives up a file that has no final name yet. It returns the name of the
// partial file that another get can go on with, or "" if nothing is left behind.
// After finish it does nothing.
func (t *target) abandon() (kept string) {
	if t.done {
		return ""
	}
	t.done = true
	return t.close()
}
