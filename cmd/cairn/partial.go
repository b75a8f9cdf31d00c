package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
)

// partial is an unfinished file. Its name comes from the link's pointer: only those
// who have the link can tell which it is. Another get of that link into the same
// folder goes on with it. Only the user can read both files; the finished one gets the
// rights of any new file.
type partial struct {
	data *os.File
	tags *os.File // nil: only this get uses the file
}

// partialTries bounds how often another process may remove the file between opening
// and locking it.
const partialTries = 10

// errNotOurs says that a name is taken by a file that must not be written to.
var errNotOurs = errors.New("another file has its name")

// openPartial opens what an earlier get of the link has left in dir, or begins anew:
// also if another process uses it, if the file with its name is not this user's
// alone, or if the file system has no locks.
func openPartial(dir string, id protocol.PointerID) (*partial, error) {
	base := filepath.Join(dir, fmt.Sprintf(".cairn-%x", id[:]))
	for range partialTries {
		data, err := openOwn(base + ".part")
		if err == nil && tryLock(data) == nil {
			if !sameFile(data, base+".part") {
				_ = data.Close() // finished or removed meanwhile
				continue
			}
			if tags, err := openOwn(base + ".tags"); err == nil {
				return &partial{data, tags}, nil
			}
		}
		if err == nil {
			_ = data.Close()
		} else if !errors.Is(err, errNotOurs) {
			return nil, err
		}
		break
	}
	return freshPartial(dir)
}

// freshPartial makes a file that no other get will go on with.
func freshPartial(dir string) (*partial, error) {
	for i := 0; ; i++ {
		f, err := os.OpenFile(filepath.Join(dir, fmt.Sprintf(".cairn-%d-%d.part", os.Getpid(), i)), os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		return &partial{data: f}, nil
	}
}

// openOwn opens a regular file that only this user can write to and that has one
// name, and makes it if there is none. In a folder that others may write to, the
// name could stand for anything.
func openOwn(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	before, err := os.Lstat(path)
	if err != nil || !isOwn(before) {
		return nil, errNotOurs
	}
	if f, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return nil, errNotOurs
	}
	after, err := f.Stat()
	if err == nil && os.SameFile(before, after) {
		err = f.Chmod(0o600) // it may have had newFileMode already
	} else {
		err = errNotOurs
	}
	if err != nil {
		_ = f.Close()
		return nil, errNotOurs
	}
	return f, nil
}

func sameFile(f *os.File, path string) bool {
	there, err := os.Lstat(path)
	if err != nil {
		return false
	}
	info, err := f.Stat()
	return err == nil && os.SameFile(there, info)
}

// files returns what client.File.Resume works on.
func (p *partial) files() client.Partial {
	if p.tags == nil {
		return client.Partial{Data: p.data, Tags: nothing{}}
	}
	return client.Partial{Data: p.data, Tags: p.tags}
}

// nothing is a file that keeps none of what is written to it.
type nothing struct{}

func (nothing) ReadAt([]byte, int64) (int, error)      { return 0, io.EOF }
func (nothing) WriteAt(b []byte, _ int64) (int, error) { return len(b), nil }

// close closes the files, and removes them unless another get can go on with them:
// then it returns the name, else "".
func (p *partial) close() (kept string) {
	useful := false
	if p.tags != nil {
		info, err := p.tags.Stat()
		useful = err == nil && info.Size() > 0
	}
	if useful {
		kept = p.data.Name()
	} else {
		p.remove(p.data)
	}
	p.closeTags(!useful)
	_ = p.data.Close()
	return kept
}

// closeTags closes the tags file, if there is one.
func (p *partial) closeTags(remove bool) {
	if p.tags == nil {
		return
	}
	if remove {
		p.remove(p.tags)
	}
	_ = p.tags.Close()
	p.tags = nil
}

// remove removes a file, where possible while it is locked, so that nobody goes on
// with it.
func (p *partial) remove(f *os.File) {
	if removesOpen {
		_ = os.Remove(f.Name())
		return
	}
	_ = f.Close()
	_ = os.Remove(f.Name())
}
