package storage_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

func TestDisks(t *testing.T) {
	storagetest.Test(t, func(t testing.TB, quota int64) storage.Store {
		var stores []storage.Store
		for range 2 {
			d, err := storage.Open(storage.Config{Dir: t.TempDir(), Owner: "test", Quota: quota / 2, Reserve: -1})
			if err != nil {
				t.Fatal(err)
			}
			stores = append(stores, d)
		}
		return storage.NewDisks(stores...)
	})
}

// A shard that overflowed into another store than its group's is mended there.
func TestDisksMend(t *testing.T) {
	var dirs [2]string
	var stores [2]storage.Store
	for i := range stores {
		dirs[i] = t.TempDir()
		d, err := storage.Open(storage.Config{Dir: dirs[i], Owner: "test", Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		stores[i] = d
	}
	d := storage.NewDisks(stores[:]...)
	defer func() { _ = d.Close() }()
	sh := storagetest.Shard(1, 1, 1, 1, 10_000)
	if err := stores[0].PutFact(t.Context(), storagetest.Fact(1, 1, 100)); err != nil { // where the group is at home
		t.Fatal(err)
	}
	if err := stores[1].PutShard(t.Context(), sh); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dirs[1], "logs", "0000000001.log")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[bytes.Index(b, sh.Data)+5000] ^= 1
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(t.Context(), sh.Key); !errors.Is(err, storage.ErrCorrupt) {
		t.Fatalf("verify: %v", err)
	}
	if err := d.PutShard(t.Context(), sh); err != nil {
		t.Fatal(err)
	}
	if err := storagetest.Holds(t.Context(), d, sh); err != nil {
		t.Errorf("acknowledged: %v", err)
	}
}
