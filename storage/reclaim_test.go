package storage_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// leaving is the context of a caller that gives up: it ends after Err was called
// a number of times.
type leaving struct {
	context.Context
	left atomic.Int32
}

func (c *leaving) Err() error {
	if c.left.Add(-1) < 0 {
		return context.Canceled
	}
	return nil
}

// A caller that gives up while space is reclaimed for it must not keep the next
// one from reclaiming it.
func TestReclaimGivenUp(t *testing.T) {
	const size = 20_000
	d, err := storage.Open(storage.Config{Dir: t.TempDir(), Owner: "test", Quota: crashQuota, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	}()
	n := 0
	for ; err == nil; n++ {
		err = d.PutShard(t.Context(), storagetest.Shard(5, 1, n, 1, size))
	}
	if !errors.Is(err, storage.ErrFull) {
		t.Fatal(err)
	}
	freed := 0
	for i := 0; i < n-1; i += 3 { // too few of each log for it to be compacted unasked
		if err := d.DeleteShard(t.Context(), storagetest.Shard(5, 1, i, 1, size).Key); err != nil {
			t.Fatal(err)
		}
		freed++
	}
	for i := range 2 * freed { // every log gets its turn
		ctx := &leaving{Context: t.Context()}
		ctx.left.Store(1)
		err := d.PutShard(ctx, storagetest.Shard(5, 1, n+1, 1, size))
		if err == nil {
			t.Fatalf("put %d needed no room", i)
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	for i := range freed - 4 { // kills take some of the room
		if err := d.PutShard(t.Context(), storagetest.Shard(5, 1, n+2+i, 1, size)); err != nil {
			t.Fatalf("put %d where %d were deleted: %v", i, freed, err)
		}
	}
}

// A donated folder may be one in which others keep files.
func TestForeignFilesStay(t *testing.T) {
	dir := t.TempDir()
	foreign := []string{"thesis.new", "00001.log.new", "index.db.bak"}
	for _, n := range foreign {
		if err := os.WriteFile(filepath.Join(dir, n), []byte("dear"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	own := []string{"cairn-store.new", filepath.Join("logs", "0000000007.log.new")}
	for range 2 { // a new store, and one that is there
		if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, n := range own {
			if err := os.WriteFile(filepath.Join(dir, n), []byte("half"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		d, err := storage.Open(storage.Config{Dir: dir, Owner: "test", Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		for _, n := range own {
			if _, err := os.Stat(filepath.Join(dir, n)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s: %v, want it gone", n, err)
			}
		}
	}
	for _, n := range foreign {
		if _, err := os.Stat(filepath.Join(dir, n)); err != nil {
			t.Error(err)
		}
	}
}
