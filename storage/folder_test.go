package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// openFolder opens a store that looks for its disk only when it is told to.
func openFolder(t testing.TB, cfg storage.Config) *storage.Folder {
	t.Helper()
	f, err := storage.OpenFolder(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	f.Still()
	return f
}

// folderIn is a store in a folder of a temporary one.
func folderIn(t *testing.T) storage.Config {
	return storage.Config{Dir: filepath.Join(t.TempDir(), "store"), Owner: "me", Reserve: -1}
}

func TestFolder(t *testing.T) {
	storagetest.Test(t, func(t testing.TB, quota int64) storage.Store {
		return openFolder(t, storage.Config{Dir: filepath.Join(t.TempDir(), "store"), Owner: "me", Reserve: -1, Quota: quota})
	})
}

func move(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func mustHold(t *testing.T, s storage.Store, shards ...*storage.Shard) {
	t.Helper()
	for _, sh := range shards {
		if err := storagetest.Holds(t.Context(), s, sh); err != nil {
			t.Error(err)
		}
	}
}

// A folder whose disk goes is closed, says so, makes nothing new in its place,
// and goes on when the disk is back.
func TestFolderGoesAndComesBack(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder with open files cannot be moved there")
	}
	cfg := folderIn(t)
	f := openFolder(t, cfg)
	a, b, c := storagetest.Shard(1, 1, 1, 1, 3000), storagetest.Shard(1, 1, 2, 1, 3000), storagetest.Shard(1, 1, 3, 1, 3000)
	if err := f.PutShard(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	away := cfg.Dir + ".away"
	move(t, cfg.Dir, away)
	f.Look()
	mustHold(t, f, a) // one look may err
	f.Look()
	for range 3 {
		f.Look()
		if u := f.Usage(); !errors.Is(u.Err, storage.ErrSuspended) || u.Shards != 1 || u.Free != 0 {
			t.Errorf("usage while it is away: %+v", u)
		}
		if err := f.PutShard(t.Context(), b); !errors.Is(err, storage.ErrSuspended) {
			t.Errorf("put: %v, want ErrSuspended", err)
		}
		if err := storagetest.Holds(t.Context(), f, a); !errors.Is(err, storage.ErrSuspended) {
			t.Errorf("read: %v, want ErrSuspended", err)
		}
		for _, err := range f.Groups(t.Context()) {
			if !errors.Is(err, storage.ErrSuspended) {
				t.Errorf("list: %v, want ErrSuspended", err)
			}
		}
	}
	if _, err := os.Stat(cfg.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("something was made where the folder was: %v", err)
	}
	there := cfg
	there.Dir = away
	if found, err := storage.Inspect(there); err != nil || found.InUse {
		t.Errorf("the folder is still held where it went: %+v, %v", found, err)
	}
	move(t, away, cfg.Dir)
	f.Look()
	mustHold(t, f, a)
	if err := f.PutShard(t.Context(), c); err != nil {
		t.Errorf("put after it came back: %v", err)
	}
	if u := f.Usage(); u.Err != nil || u.Shards != 2 {
		t.Errorf("usage after it came back: %+v", u)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mustHold(t, openFolder(t, cfg), a, c)
}

// Nothing is written into files that have lost their names: a store that was
// copied to another disk, and put into its old place, is opened anew.
func TestFolderReplacedByCopy(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder with open files cannot be moved there")
	}
	cfg := folderIn(t)
	f := openFolder(t, cfg)
	a, b := storagetest.Shard(1, 1, 1, 1, 3000), storagetest.Shard(1, 1, 2, 1, 3000)
	if err := f.PutShard(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(cfg.Dir+".copy", os.DirFS(cfg.Dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	move(t, cfg.Dir+".copy", cfg.Dir)
	f.Look()
	if err := f.PutShard(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	mustHold(t, f, a, b)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	mustHold(t, openFolder(t, cfg), a, b)
}

// Nor is anything written into logs that somebody removed: what they held is
// lost, what comes later is not.
func TestFolderLosesLogs(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("an open file cannot be removed there")
	}
	cfg := folderIn(t)
	f := openFolder(t, cfg)
	a, b := storagetest.Shard(1, 1, 1, 1, 3000), storagetest.Shard(1, 1, 2, 1, 3000)
	if err := f.PutShard(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	f.Look()
	mustHold(t, f, a)
	if err := os.Remove(filepath.Join(cfg.Dir, "logs", "0000000001.log")); err != nil {
		t.Fatal(err)
	}
	f.Look()
	if err := f.PutShard(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	f = openFolder(t, cfg)
	mustHold(t, f, b)
	if u := f.Usage(); u.Shards != 1 {
		t.Errorf("%+v", u)
	}
}

// An empty folder in the store's place, or another node's, is never taken for the
// store.
func TestFolderOfAnotherInItsPlace(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder with open files cannot be moved there")
	}
	cfg := folderIn(t)
	f := openFolder(t, cfg)
	a := storagetest.Shard(1, 1, 1, 1, 3000)
	if err := f.PutShard(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	away := cfg.Dir + ".away"
	move(t, cfg.Dir, away)
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		f.Look()
	}
	if names, err := os.ReadDir(cfg.Dir); err != nil || len(names) > 0 || !errors.Is(f.Usage().Err, storage.ErrSuspended) {
		t.Errorf("in an empty folder: %v, %v, %+v", names, err, f.Usage())
	}
	other := cfg
	other.Owner = "another"
	o := openFolder(t, other)
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	f.Look()
	if err := f.Usage().Err; !errors.Is(err, storage.ErrSuspended) || !errors.Is(err, storage.ErrForeign) {
		t.Errorf("beside another's store: %v", err)
	}
	if err := os.RemoveAll(cfg.Dir); err != nil {
		t.Fatal(err)
	}
	move(t, away, cfg.Dir)
	f.Look()
	mustHold(t, f, a)
}

// readOnly is a file system that can be made read-only under open files, as the
// kernel does where a disk errs.
type readOnly struct {
	storage.OS
	on atomic.Bool
}

func (r *readOnly) Create(name string) (storage.File, error) {
	if r.on.Load() {
		return nil, syscall.EROFS
	}
	f, err := r.OS.Create(name)
	return readOnlyFile{f, r}, err
}

func (r *readOnly) Open(name string) (storage.File, error) {
	f, err := r.OS.Open(name)
	return readOnlyFile{f, r}, err
}

type readOnlyFile struct {
	storage.File
	fs *readOnly
}

func (f readOnlyFile) WriteVec(bufs [][]byte, off int64) error {
	if f.fs.on.Load() {
		return syscall.EROFS
	}
	return f.File.WriteVec(bufs, off)
}

func (f readOnlyFile) Truncate(size int64) error {
	if f.fs.on.Load() {
		return syscall.EROFS
	}
	return f.File.Truncate(size)
}

// A file system that becomes read-only fails the store, which serves what it
// has; it stores again once the disk can be written to.
func TestFolderReadOnly(t *testing.T) {
	cfg := folderIn(t)
	fs := &readOnly{}
	cfg.FS = fs
	f := openFolder(t, cfg)
	a, b := storagetest.Shard(1, 1, 1, 1, 3000), storagetest.Shard(1, 1, 2, 1, 3000)
	if err := f.PutShard(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	fs.on.Store(true)
	for range 3 {
		if err := f.PutShard(t.Context(), b); !errors.Is(err, storage.ErrFailed) {
			t.Errorf("put: %v, want ErrFailed", err)
		}
		f.Look()
		mustHold(t, f, a)
		if u := f.Usage(); !errors.Is(u.Err, storage.ErrFailed) {
			t.Errorf("usage: %+v", u)
		}
	}
	fs.on.Store(false)
	f.Look()
	if err := f.PutShard(t.Context(), b); err != nil {
		t.Errorf("put after it became writable: %v", err)
	}
	mustHold(t, f, a, b)
}
