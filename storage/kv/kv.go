package kv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

var (
	// ErrInUse says that another process, or another DB of this one, holds the
	// file.
	ErrInUse = errors.New("in use by another process")

	// ErrCorrupt says that the file is damaged or not one of ours.
	ErrCorrupt = errors.New("database is corrupt")

	// ErrClosed says that the DB was closed.
	ErrClosed = errors.New("database is closed")
)

// defaultLockTimeout is how long Open waits for a file in use.
const defaultLockTimeout = time.Second

// fileMode lets nobody but the owner read or write.
const fileMode = 0o600

// Options say how to open a DB. The zero value is usable.
type Options struct {
	// NoSync leaves it to the operating system when commits reach the disk. After
	// a power failure the file may then be damaged without any sign of it. Use it
	// only for what can be made again and is thrown away after an unclean end.
	NoSync bool

	// LockTimeout is how long to wait for a file in use; 0 means a second.
	LockTimeout time.Duration
}

// DB is one open file. It is safe for concurrent use.
type DB struct {
	path string
	bolt *bbolt.DB
}

// Open opens the file at path, readable by its owner alone, and makes it if it
// does not exist: a crash leaves the whole file or none. Its folder must exist.
// Errors: ErrInUse, ErrCorrupt.
func Open(path string, opt Options) (*DB, error) {
	if opt.LockTimeout == 0 {
		opt.LockTimeout = defaultLockTimeout
	}
	if err := create(path); err != nil {
		return nil, fmt.Errorf("create database %s: %w", path, err)
	}
	db, err := openBolt(path, opt)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	return &DB{path: path, bolt: db}, nil
}

// create makes an empty database where there is none:
//
//	make PATH.new, sync it, rename it to PATH, sync the folder
//
// An empty file is what a crash leaves when bbolt itself makes the file; it holds
// nothing and is replaced.
func create(path string) error {
	switch info, err := os.Stat(path); {
	case err == nil && info.Size() > 0:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	// Two processes may do this at the same time: each makes a file of its own,
	// and the first one to get its name stays.
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	name := tmp.Name()
	defer func() { _ = os.Remove(name) }() // nothing is left there after the rename
	if err := tmp.Close(); err != nil {
		return err
	}
	db, err := openBolt(name, Options{})
	if err != nil {
		return err
	}
	if err := errors.Join(db.Sync(), db.Close()); err != nil {
		return err
	}
	if err := publish(name, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// publish gives the file its name unless another process was faster.
func publish(name, path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() == 0 {
		return os.Rename(name, path)
	}
	err := os.Link(name, path) // unlike a rename, it replaces nothing
	switch {
	case err == nil, errors.Is(err, fs.ErrExist):
		return nil
	}
	return os.Rename(name, path) // a file system without hard links
}

// openBolt opens a bbolt file; what it panics about comes out as ErrCorrupt.
func openBolt(path string, opt Options) (db *bbolt.DB, err error) {
	defer func() { err = kindOf(err) }()
	defer caught(&err)()
	return bbolt.Open(path, fileMode, &bbolt.Options{
		Timeout:      opt.LockTimeout,
		NoSync:       opt.NoSync,
		FreelistType: bbolt.FreelistMapType, // the array's cost grows with the file
		NoStatistics: true,
	})
}

// kindOf translates bbolt's errors into ours.
func kindOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return ErrInUse
	case errors.Is(err, bolterrors.ErrDatabaseNotOpen):
		return ErrClosed
	case errors.Is(err, bolterrors.ErrInvalid), errors.Is(err, bolterrors.ErrVersionMismatch),
		errors.Is(err, bolterrors.ErrChecksum), errors.Is(err, bolterrors.ErrInvalidMapping):
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// caught turns a panic of the calling function, or a fault of the mapped memory,
// into an ErrCorrupt in *err. Use it as: defer caught(&err)()
func caught(err *error) func() {
	old := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(old)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: %v", ErrCorrupt, p)
		}
	}
}

// Sync brings to the disk what NoSync left to the operating system.
func (db *DB) Sync() error {
	if err := db.bolt.Sync(); err != nil {
		return fmt.Errorf("sync database %s: %w", db.path, kindOf(err))
	}
	return nil
}

// Size returns the length of the file in bytes. It never shrinks.
func (db *DB) Size() (int64, error) {
	info, err := os.Stat(db.path)
	if err != nil {
		return 0, fmt.Errorf("size of database: %w", err)
	}
	return info.Size(), nil
}

// Close waits for open transactions and lets others open the file.
func (db *DB) Close() error {
	if err := db.bolt.Close(); err != nil {
		return fmt.Errorf("close database %s: %w", db.path, err)
	}
	return nil
}

// SyncDir makes the names in a folder durable: those of files made, renamed or
// removed there. Where folders cannot be synced (Windows) it does nothing.
func SyncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}
