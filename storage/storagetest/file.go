package storagetest

import (
	"fmt"
	"io"

	"github.com/cairnstore/cairn/storage"
)

// file is one open file of an FS.
type file struct {
	fs   *FS
	name string
	i    *inode
}

// ReadAt implements storage.File.
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if f.fs.dead {
		return 0, ErrPower
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(f.i.shown)) {
		return 0, io.EOF
	}
	n := copy(p, f.i.shown[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteVec implements storage.File.
func (f *file) WriteVec(bufs [][]byte, off int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	var all []byte
	for _, b := range bufs {
		all = append(all, b...)
	}
	err := f.fs.change(OpWrite, f.name)
	if err != nil {
		all = all[:len(all)/2]
	} else if grown := off + int64(len(all)) - int64(len(f.i.shown)); f.fs.room > 0 && f.fs.used()+grown > f.fs.room {
		err = fmt.Errorf("write %s: %w", f.name, storage.ErrFull)
		all = all[:max(0, int64(len(all))-(f.fs.used()+grown-f.fs.room))]
	}
	f.i.change(change{off: off, data: all})
	return err
}

// change applies c to what is shown, and remembers it for the next sync.
func (i *inode) change(c change) {
	i.shown = c.to(i.shown)
	i.dirty = append(i.dirty, c)
}

// to applies the change to a file's bytes.
func (c change) to(b []byte) []byte {
	end := c.off + int64(len(c.data))
	if c.cut && int64(len(b)) > end {
		return b[:end:end]
	}
	if int64(len(b)) < end {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[c.off:], c.data)
	return b
}

// Truncate implements storage.File.
func (f *file) Truncate(size int64) error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	if err := f.fs.change(OpTruncate, f.name); err != nil {
		return err
	}
	f.i.change(change{off: size, cut: true})
	return nil
}

// Size implements storage.File.
func (f *file) Size() (int64, error) {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	return int64(len(f.i.shown)), nil
}

// Sync implements storage.File. When it fails, what it should have kept is
// forgotten for good but still shown.
func (f *file) Sync() error {
	f.fs.mu.Lock()
	defer f.fs.mu.Unlock()
	err := f.fs.change(OpSync, f.name)
	if err == nil {
		for _, c := range f.i.dirty {
			f.i.disk = c.to(f.i.disk)
		}
	}
	if !f.fs.dead {
		f.i.dirty = nil
	}
	return err
}

// Reserve implements storage.File.
func (f *file) Reserve(int64, int64) {}

// Close implements storage.File.
func (f *file) Close() error { return nil }
