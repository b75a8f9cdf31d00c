package storage

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/cairnstore/cairn/storage/kv"
)

// FS is what a Disk needs of a file system. Names are paths. Errors for what
// does not exist or exists already are fs.ErrNotExist and fs.ErrExist; a full
// disk is ErrFull. Package storagetest has one that forgets and fails.
type FS interface {
	MkdirAll(dir string) error
	ReadDir(dir string) (names []string, err error)
	Create(name string) (File, error) // fs.ErrExist if it exists
	Open(name string) (File, error)   // for reading and writing
	Rename(from, to string) error     // replaces
	Remove(name string) error
	// SyncDir makes the names in a folder durable.
	SyncDir(dir string) error
	// Lock holds the file until Close or the end of the process; ErrInUse.
	Lock(name string) (io.Closer, error)
	// Space returns the bytes that are free for this user, and all bytes, of
	// the file system that dir is on.
	Space(dir string) (free, total int64, err error)
}

// File is one open file.
type File interface {
	io.ReaderAt
	io.Closer
	// WriteVec writes the buffers one after the other, beginning at an offset.
	WriteVec(bufs [][]byte, off int64) error
	Truncate(size int64) error
	Size() (int64, error)
	// Sync makes contents and length durable.
	Sync() error
	// Reserve asks the file system to have room ready for length bytes at an
	// offset, without making the file longer. It promises nothing.
	Reserve(off, length int64)
}

// OS is the operating system's FS.
type OS struct{}

var _ FS = OS{}

const (
	dirMode  = 0o700
	fileMode = 0o600
)

// MkdirAll implements FS.
func (OS) MkdirAll(dir string) error { return os.MkdirAll(dir, dirMode) }

// ReadDir implements FS.
func (OS) ReadDir(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = e.Name()
	}
	return names, err
}

// Create implements FS.
func (OS) Create(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, kindOf(err)
	}
	return osFile{f}, nil
}

// Open implements FS.
func (OS) Open(name string) (File, error) {
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Rename implements FS.
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements FS.
func (OS) Remove(name string) error { return os.Remove(name) }

// SyncDir implements FS.
func (OS) SyncDir(dir string) error { return kv.SyncDir(dir) }

// osFile is an *os.File as a File; what differs between systems stands in
// fs_linux.go and fs_other.go.
type osFile struct{ *os.File }

// Size implements File.
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// readFile reads a small file whole; more than limit bytes are an error.
func readFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	size, err := f.Size()
	if err == nil && size > limit {
		err = ErrLimit
	}
	var b []byte
	if err == nil {
		b = make([]byte, size)
		if _, err = f.ReadAt(b, 0); errors.Is(err, io.EOF) {
			err = nil
		}
	}
	return b, errors.Join(err, f.Close())
}

// newSuffix marks a file that is being made.
const newSuffix = ".new"

// writeFile makes a small file whole or not at all:
//
//	create NAME.new, write, sync, rename to NAME, sync the folder
func writeFile(fsys FS, dir, name string, b []byte) error {
	tmp := name + newSuffix
	if err := fsys.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := fsys.Create(tmp)
	if err != nil {
		return err
	}
	err = f.WriteVec([][]byte{b}, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return fsys.SyncDir(dir)
}
