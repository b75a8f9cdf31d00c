package storage_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

func openDisk(t testing.TB, cfg storage.Config) *storage.Disk {
	t.Helper()
	d, err := storage.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	cfg := storage.Config{Dir: dir, Owner: "me", Reserve: -1}
	d := openDisk(t, cfg)
	if _, err := storage.Open(cfg); !errors.Is(err, storage.ErrInUse) {
		t.Errorf("open twice: %v, want ErrInUse", err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	other := cfg
	other.Owner = "somebody else"
	if _, err := storage.Open(other); !errors.Is(err, storage.ErrForeign) {
		t.Errorf("open another's: %v, want ErrForeign", err)
	}
	other.Owner = "two\nlines"
	if _, err := storage.Open(other); !errors.Is(err, storage.ErrLimit) {
		t.Errorf("owner of two lines: %v, want ErrLimit", err)
	}
	sentinel := filepath.Join(dir, "cairn-store")
	if err := os.Rename(sentinel, sentinel+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(cfg); !errors.Is(err, storage.ErrSuspended) {
		t.Errorf("open logs without a sentinel: %v, want ErrSuspended", err)
	}
	if err := os.WriteFile(sentinel, bytes.Repeat([]byte("x"), 10_000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(cfg); !errors.Is(err, storage.ErrForeign) {
		t.Errorf("open over a strange sentinel: %v, want ErrForeign", err)
	}
}

// Where a store was before, a missing disk must not look like an empty store.
func TestOpenMissing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "mnt")
	cfg := storage.Config{Dir: dir, Owner: "me", Existing: true, Reserve: -1}
	if _, err := storage.Open(cfg); !errors.Is(err, storage.ErrSuspended) {
		t.Errorf("folder is missing: %v, want ErrSuspended", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := storage.Open(cfg); !errors.Is(err, storage.ErrSuspended) {
		t.Errorf("folder is empty: %v, want ErrSuspended", err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("a missing store was made: %v, %v", names, err)
	}
}

// The disk goes and comes back while the store is open.
func TestSuspended(t *testing.T) {
	index := filepath.Join(fast(t), "index.db")
	synctest.Test(t, func(t *testing.T) {
		fs := storagetest.NewFS()
		d := openDisk(t, crashConfig(fs, index))
		a, b := crashShard(1), crashShard(2)
		put := func(sh *storage.Shard) error { return d.PutShard(t.Context(), sh) }
		if err := put(a); err != nil {
			t.Fatal(err)
		}
		restore := fs.Drop("/store")
		time.Sleep(2 * time.Second) // of the bubble: the sentinel is looked for again
		if err := put(b); !errors.Is(err, storage.ErrSuspended) {
			t.Errorf("put without a disk: %v, want ErrSuspended", err)
		}
		if u := d.Usage(); !errors.Is(u.Err, storage.ErrSuspended) || u.Free != 0 || u.Shards != 1 {
			t.Errorf("usage without a disk: %+v", u)
		}
		restore()
		time.Sleep(15 * time.Second) // a store that nobody writes to looks as well
		if u := d.Usage(); u.Err != nil {
			t.Errorf("usage of an idle store after the disk came back: %+v", u)
		}
		restore = fs.Drop("/store")
		time.Sleep(15 * time.Second)
		if u := d.Usage(); !errors.Is(u.Err, storage.ErrSuspended) {
			t.Errorf("usage of an idle store without a disk: %+v", u)
		}
		restore()
		if err := put(b); err != nil {
			t.Errorf("put after the disk came back: %v", err)
		}
		if u := d.Usage(); u.Err != nil || u.Shards != 2 {
			t.Errorf("usage after the disk came back: %+v", u)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestReserve(t *testing.T) {
	index := filepath.Join(fast(t), "index.db")
	fs := storagetest.NewFS()
	fs.Limit(1 << 20)
	cfg := crashConfig(fs, index)
	cfg.Quota, cfg.Reserve = 0, 512<<10
	d := openDisk(t, cfg)
	for i := range 1000 {
		err := d.PutShard(t.Context(), storagetest.Shard(1, 1, i, 1, 10_000))
		if errors.Is(err, storage.ErrFull) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if used := fs.Used(); used > 512<<10 || used < 480<<10 {
		t.Errorf("%d bytes used of %d with a reserve of half", used, 1<<20)
	}
	if err := d.DeleteShard(t.Context(), storagetest.Shard(1, 1, 1, 1, 10_000).Key); err != nil {
		t.Errorf("delete on a full disk: %v", err)
	}
}

// A crash leaves half a record at the end of the log, and others fill the disk
// to its last byte: there is no room for the log that would have to be begun.
// What is stored is served; once there is room, all goes on.
func TestTornTailOnFullDisk(t *testing.T) {
	index := filepath.Join(fast(t), "index.db")
	fs := storagetest.NewFS()
	d := openDisk(t, crashConfig(fs, index))
	a, b, c := crashShard(4), crashShard(5), crashShard(3)
	if err := d.PutShard(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	fs.Inject(func(op storagetest.Op) error { return storagetest.ErrPower }) // half of it is written
	if err := d.PutShard(t.Context(), b); err == nil {
		t.Fatal("a put outlived the power")
	}
	_ = d.Close()
	synctest.Test(t, func(t *testing.T) {
		fs := fs.Restart(storagetest.Everything, nil)
		fs.Limit(fs.Used())
		d := openDisk(t, crashConfig(fs, index))
		for range 2 {
			if err := storagetest.Holds(t.Context(), d, a); err != nil {
				t.Error(err)
			}
			if err := d.PutShard(t.Context(), c); !errors.Is(err, storage.ErrFull) {
				t.Errorf("put without room: %v, want ErrFull", err)
			}
			if err := d.DeleteShard(t.Context(), a.Key); !errors.Is(err, storage.ErrFull) {
				t.Errorf("delete without room: %v, want ErrFull", err)
			}
			if u := d.Usage(); u.Err != nil || u.Free != 0 || u.Shards != 1 {
				t.Errorf("usage %+v", u)
			}
			time.Sleep(2 * time.Second) // of the bubble
		}
		fs.Limit(1 << 20)
		time.Sleep(2 * time.Second)
		if err := d.PutShard(t.Context(), c); err != nil {
			t.Fatalf("put with room again: %v", err)
		}
		// The space of the torn tail is reclaimed in the background after every
		// Open. It must be finished before two stores can be compared.
		if err := d.Quiesce(); err != nil {
			t.Error(err)
		}
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := sameRebuilt(t, fs, index); err != nil {
			t.Error(err)
		}
		d = openDisk(t, crashConfig(fs, index))
		for sh, want := range map[*storage.Shard]error{a: nil, b: storage.ErrNotFound, c: nil} {
			if err := storagetest.Holds(t.Context(), d, sh); !errors.Is(err, want) {
				t.Errorf("after all: %v, want %v", err, want)
			}
		}
		_ = d.Close()
	})
}

// A caller that waits while a new log cannot be synced gets that error, even if
// nothing would have to be written for it.
func TestWaitingOnFailedRotation(t *testing.T) {
	fs := storagetest.NewFS()
	d := openDisk(t, crashConfig(fs, filepath.Join(fast(t), "index.db")))
	waits := make(chan error, 1)
	fs.Inject(func(op storagetest.Op) error {
		if op.Kind != storagetest.OpSync || !strings.HasSuffix(op.Name, ".log.new") {
			return nil
		}
		go func() { waits <- d.DeleteShard(context.Background(), crashShard(9999).Key) }()
		for d.Queued() == 0 {
			runtime.Gosched()
		}
		return storagetest.ErrIO
	})
	var err error
	for i := 0; err == nil; i++ {
		err = d.PutShard(t.Context(), crashShard(i))
	}
	if !errors.Is(err, storage.ErrFailed) {
		t.Errorf("put into a new log: %v, want ErrFailed", err)
	}
	if err := <-waits; !errors.Is(err, storage.ErrFailed) {
		t.Errorf("delete of nothing: %v, want ErrFailed", err)
	}
}

// After a failed sync nothing is acknowledged, and everything is still read.
func TestFailed(t *testing.T) {
	index := filepath.Join(fast(t), "index.db")
	fs := storagetest.NewFS()
	d := openDisk(t, crashConfig(fs, index))
	a, b := crashShard(1), crashShard(2)
	if err := d.PutShard(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	fs.Inject(func(op storagetest.Op) error {
		if op.Kind == storagetest.OpSync {
			return storagetest.ErrIO
		}
		return nil
	})
	if err := d.PutShard(t.Context(), b); !errors.Is(err, storage.ErrFailed) {
		t.Errorf("put: %v, want ErrFailed", err)
	}
	fs.Inject(nil) // syncs "work" again: what was written before is lost all the same
	if err := d.PutShard(t.Context(), b); !errors.Is(err, storage.ErrFailed) {
		t.Errorf("put again: %v, want ErrFailed", err)
	}
	if err := d.DeleteShard(t.Context(), a.Key); !errors.Is(err, storage.ErrFailed) {
		t.Errorf("delete: %v, want ErrFailed", err)
	}
	if u := d.Usage(); !errors.Is(u.Err, storage.ErrFailed) || u.Free != 0 {
		t.Errorf("usage %+v, want ErrFailed", u)
	}
	if err := storagetest.Holds(t.Context(), d, a); err != nil {
		t.Errorf("read: %v", err)
	}
}
