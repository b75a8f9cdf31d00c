package storage_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// breakFile makes every later write of this process to an open file fail with
// EIO, as a broken disk does: the file's descriptor is made to refer to this
// process's own memory, whose first megabytes are not mapped. Existing mappings
// of the file stay. mend makes writes reach the file again.
func breakFile(t *testing.T, path string) (mend func()) {
	t.Helper()
	if info, err := os.Stat(path); err != nil || info.Size() > 1<<20 {
		t.Fatal("it may reach to where memory is: ", info, err)
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("it needs /proc: ", err)
	}
	mem, err := os.OpenFile("/proc/self/mem", os.O_RDWR, 0)
	if err != nil {
		t.Skip("it needs /proc/self/mem: ", err)
	}
	defer func() { _ = mem.Close() }()
	if n, err := mem.WriteAt([]byte{0}, 4096); n != 0 || !errors.Is(err, syscall.EIO) {
		t.Skipf("a write to where no memory is: %v", err)
	}
	for _, e := range list {
		if target, _ := os.Readlink(filepath.Join("/proc/self/fd", e.Name())); target != path {
			continue
		}
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		whole, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = unix.Close(whole) })
		if err := unix.Dup3(int(mem.Fd()), fd, unix.O_CLOEXEC); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := unix.Dup3(whole, fd, unix.O_CLOEXEC); err != nil {
				t.Error(err)
			}
		}
	}
	t.Fatalf("%s is not open", path)
	return nil
}

// When the disk fails to write the index, nothing more is acknowledged, even if
// the disk recovers, because nobody knows what the index says now. The next start
// makes the index again and has all that was acknowledged.
func TestIndexWriteFails(t *testing.T) {
	for name, mended := range map[string]bool{"for good": false, "once": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cfg := storage.Config{Dir: dir, Owner: "test", Reserve: -1}
			d, err := storage.Open(cfg)
			if err != nil {
				t.Fatal(err)
			}
			shard := func(i int) *storage.Shard { return storagetest.Shard(8, i%8, i, 0, 1000) }
			acknowledged := 0
			put := func() error {
				err := d.PutShard(t.Context(), shard(acknowledged))
				if err == nil {
					acknowledged++
				}
				return err
			}
			save := func() {
				if err := d.SaveOrFail(); err != nil {
					t.Fatal(err)
				}
			}
			for range 200 {
				if err := put(); err != nil {
					t.Fatal(err)
				}
			}
			// Pages become free, so that the index need not grow: /proc/self/mem
			// has no length.
			save()
			for acknowledged > 100 {
				acknowledged--
				if err := d.DeleteShard(t.Context(), shard(acknowledged).Key); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				save()
				if err := put(); err != nil {
					t.Fatal(err)
				}
			}
			save()
			mend := breakFile(t, filepath.Join(dir, "index.db"))
			_ = put() // it gives the index something to save; the store itself may have noticed already
			_ = d.SaveOrFail()
			if u := d.Usage(); !errors.Is(u.Err, storage.ErrFailed) || !errors.Is(u.Err, syscall.EIO) {
				t.Fatalf("saving the index: %v", u.Err)
			}
			if mended {
				mend()
			}
			if err := put(); err == nil {
				t.Error("a shard is acknowledged after the index failed")
			}
			if u := d.Usage(); u.Err == nil || u.Free != 0 {
				t.Errorf("a store that failed says %+v", u)
			}
			if err := storagetest.Holds(t.Context(), d, shard(0)); err != nil {
				t.Error("what was stored is not served: ", err)
			}
			_ = d.Close() // it failed
			if d, err = storage.Open(cfg); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = d.Close() }()
			for i := range acknowledged {
				if err := storagetest.Holds(t.Context(), d, shard(i)); err != nil {
					t.Errorf("shard %d: %v", i, err)
				}
			}
			if err := put(); err != nil {
				t.Error("after the next start: ", err)
			}
			if u := d.Usage(); u.Shards != acknowledged {
				t.Errorf("%d shards, %d acknowledged", u.Shards, acknowledged)
			}
		})
	}
}
