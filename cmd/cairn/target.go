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
	if err := checkGivenName(name); err != nil {
		return withHint(fmt.Errorf("get: the link's file calls itself by a name that is not safe here: %w", err),
			"name it yourself: \"cairn get LINK NAME\"")
	}
	t.path = filepath.Join(t.dir, name)
	return t.check()
}

// check refuses a final name that is taken. With force a file may have it, or a
// link to one, which is replaced itself; nothing else may: a device, a pipe or
// what leads to one, as /dev/stdout does, would be gone for all its users.
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
	case !info.Mode().IsRegular() || isStdout(info):
		return withHint(fmt.Errorf("write %q: it is no file, and would be replaced by one", t.path),
			"\"cairn get LINK -\" and \"cairn cat LINK\" write to standard output")
	case !t.force:
		return withHint(fmt.Errorf("write %q: %w", t.path, errExists), "\"--force\" overwrites it; or name another file")
	}
	return nil
}

// isStdout reports whether a file is what standard output goes to: then the name
// that leads there is meant, not the file.
func isStdout(info fs.FileInfo) bool {
	out, err := os.Stdout.Stat()
	return err == nil && os.SameFile(info, out)
}

// finish gives the file its size, its rights and its name: sync, rename, sync
// the folder. The rights are those of any new file: what was fetched is no more
// secret than the user's others. They come last before the name, and openOwn knows
// them: what is whole is taken up again whenever a get was killed.
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
		err = errors.Join(err, t.data.Close()) // a file that is open keeps its name there
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
	return nil // a folder that this user may write to and not read: nobody could do more
}

// rename never replaces a file that has appeared meanwhile: a hard link fails
// where the name is taken. File systems without them get the plain check, and so
// does force.
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
