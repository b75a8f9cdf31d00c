package storagetest

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"

	"github.com/cairnstore/cairn/storage"
)

// ErrPower is what the operation during which the power failed returns, and every
// one after it.
var ErrPower = errors.New("the power failed")

// ErrIO is a disk's own failure.
var ErrIO = errors.New("input/output error")

// OpKind is a kind of operation that changes a disk.
type OpKind string

// The kinds of operations that can fail.
const (
	OpCreate   OpKind = "create"
	OpWrite    OpKind = "write"
	OpTruncate OpKind = "truncate"
	OpSync     OpKind = "sync"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpSyncDir  OpKind = "syncdir"
)

// Op is one operation: the Index-th that changes the disk, from 0.
type Op struct {
	Index int
	Kind  OpKind
	Name  string
}

// FS is a storage.FS in memory. Like a real one it shows immediately what was
// written, and promises only what was synced: contents by Sync, names by SyncDir.
// Restart takes it through a power failure. After a failed Sync, like Linux, it
// goes on showing bytes that will never reach the disk.
type FS struct {
	mu     sync.Mutex // guards what follows
	inject func(Op) error
	room   int64 // bytes of all files; 0: no bound
	ops    int
	dead   bool
	broken bool // a sync has failed
	dirs   map[string]bool
	names  map[string]*inode // as shown
	kept   map[string]*inode // as synced
	moves  map[string][]move // by folder: changes of names since its last sync
	locks  map[string]bool
}

// move is one change of names; a removal if to is nil.
type move struct {
	name string
	to   *inode
	from string // the old name, if this is a rename
}

// inode is a file.
type inode struct {
	shown []byte
	disk  []byte // what a power failure leaves for sure
	dirty []change
}

// change is a write, or a cut at off.
type change struct {
	off  int64
	data []byte
	cut  bool
}

var _ storage.FS = (*FS)(nil)

// NewFS returns an empty file system.
func NewFS() *FS {
	return &FS{
		dirs: make(map[string]bool), names: make(map[string]*inode), kept: make(map[string]*inode),
		moves: make(map[string][]move), locks: make(map[string]bool),
	}
}

// Inject makes the file system call fault before each operation that changes the
// disk. An error of fault makes that operation fail, a write after half of its
// bytes. After ErrPower all fail.
func (f *FS) Inject(fault func(Op) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.inject = fault
}

// Limit bounds the bytes of all files; 0 means no bound.
func (f *FS) Limit(room int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.room = room
}

// Ops returns how many operations changed the disk, or tried to.
func (f *FS) Ops() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ops
}

// SyncFailed reports whether a sync of a file or a folder has failed: a store
// that acknowledges anything begun afterwards lies.
func (f *FS) SyncFailed() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.broken
}

// Used returns the bytes of all files as shown.
func (f *FS) Used() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.used()
}

func (f *FS) used() (n int64) {
	for _, i := range f.names {
		n += int64(len(i.shown))
	}
	return n
}

// change counts one operation and asks whether it fails. The caller holds mu.
func (f *FS) change(kind OpKind, name string) error {
	if f.dead {
		return ErrPower
	}
	op := Op{Index: f.ops, Kind: kind, Name: name}
	f.ops++
	if f.inject == nil {
		return nil
	}
	err := f.inject(op)
	switch {
	case errors.Is(err, ErrPower):
		f.dead = true
	case err != nil && (kind == OpSync || kind == OpSyncDir):
		f.broken = true
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", kind, name, err)
	}
	return nil
}

// MkdirAll implements storage.FS. Folders are durable immediately.
func (f *FS) MkdirAll(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for d := filepath.Clean(dir); !f.dirs[d]; d = filepath.Dir(d) {
		f.dirs[d] = true
	}
	return nil
}

// ReadDir implements storage.FS.
func (f *FS) ReadDir(dir string) ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.dirs[filepath.Clean(dir)] {
		return nil, &fs.PathError{Op: "readdir", Path: dir, Err: fs.ErrNotExist}
	}
	var names []string
	for n := range f.names {
		if filepath.Dir(n) == filepath.Clean(dir) {
			names = append(names, filepath.Base(n))
		}
	}
	return names, nil
}

// Create implements storage.FS.
func (f *FS) Create(name string) (storage.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.change(OpCreate, name); err != nil {
		return nil, err
	}
	if f.names[name] != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
	}
	i := new(inode)
	f.rename(move{name: name, to: i})
	return &file{fs: f, name: name, i: i}, nil
}

// Open implements storage.FS.
func (f *FS) Open(name string) (storage.File, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.names[name]
	if i == nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return &file{fs: f, name: name, i: i}, nil
}

// Rename implements storage.FS.
func (f *FS) Rename(from, to string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.change(OpRename, from); err != nil {
		return err
	}
	i := f.names[from]
	if i == nil {
		return &fs.PathError{Op: "rename", Path: from, Err: fs.ErrNotExist}
	}
	f.rename(move{name: to, to: i, from: from})
	return nil
}

// Remove implements storage.FS.
func (f *FS) Remove(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.names[name] == nil {
		return &fs.PathError{Op: "remove", Path: name, Err: fs.ErrNotExist}
	}
	if err := f.change(OpRemove, name); err != nil {
		return err
	}
	f.rename(move{name: name})
	return nil
}

func (f *FS) rename(m move) {
	apply(f.names, m)
	dir := filepath.Dir(m.name)
	f.moves[dir] = append(f.moves[dir], m)
}

func apply(names map[string]*inode, m move) {
	if m.from != "" {
		delete(names, m.from)
	}
	if m.to == nil {
		delete(names, m.name)
		return
	}
	names[m.name] = m.to
}

// SyncDir implements storage.FS.
func (f *FS) SyncDir(dir string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.change(OpSyncDir, dir); err != nil {
		return err
	}
	dir = filepath.Clean(dir)
	for _, m := range f.moves[dir] {
		apply(f.kept, m)
	}
	delete(f.moves, dir)
	return nil
}

// Lock implements storage.FS.
func (f *FS) Lock(name string) (io.Closer, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.locks[name] {
		return nil, storage.ErrInUse
	}
	f.locks[name] = true
	return unlock(func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.locks, name)
	}), nil
}

type unlock func()

// Close gives the lock back.
func (u unlock) Close() error { u(); return nil }

// Space implements storage.FS.
func (f *FS) Space(string) (free, total int64, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.room == 0 {
		return 1 << 50, 1 << 50, nil
	}
	return f.room - f.used(), f.room, nil
}

// Spoil changes the byte at off of what a file shows and keeps, for tests of rot.
// A negative off counts from the end.
func (f *FS) Spoil(name string, off int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.names[name]
	if off < 0 {
		off += int64(len(i.shown))
	}
	i.shown[off] ^= 0x55
	if off < int64(len(i.disk)) {
		i.disk[off] ^= 0x55
	}
}

// Drop removes all files whose name begins with prefix, as an unmounted disk
// does, and returns a function that brings them back.
func (f *FS) Drop(prefix string) (restore func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gone := make(map[string]*inode)
	for n, i := range f.names {
		if strings.HasPrefix(n, prefix) {
			gone[n] = i
			delete(f.names, n)
		}
	}
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		for n, i := range gone {
			f.names[n] = i
		}
	}
}
