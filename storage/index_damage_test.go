package storage_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// A damaged page of the index, wherever it lies, costs nothing but the time to
// make the index again: immediately, or at the next start at the latest.
func TestIndexDamage(t *testing.T) {
	const page, count, damages = 4096, 400, 16
	rng := rand.New(rand.NewPCG(1, 1))
	dir := t.TempDir()
	cfg := storage.Config{Dir: dir, Owner: "test", Reserve: -1}
	d, err := storage.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	shard := func(i int) *storage.Shard { return storagetest.Shard(7, i%8, i, 0, 100) }
	for i := range count {
		if err := d.PutShard(t.Context(), shard(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "index.db")
	whole, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for n := range damages {
		b := append([]byte{}, whole...)
		at := rng.IntN(len(b)/page) * page
		for i := range page {
			b[at+i] = byte(rng.IntN(256))
		}
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := usable(t, cfg, shard, count); err != nil {
			t.Logf("damage %d at %d (seed 1): %v", n, at, err)
			if err := usable(t, cfg, shard, count); err != nil {
				t.Errorf("damage %d at %d (seed 1), next start: %v", n, at, err)
			}
		}
	}
}

// usable opens a store, reads all of it and writes to it.
func usable(t *testing.T, cfg storage.Config, shard func(int) *storage.Shard, count int) (err error) {
	d, err := storage.Open(cfg)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	for i := range count { // half of them are put again, half are read
		if i%2 == 0 {
			err = d.PutShard(t.Context(), shard(i))
		} else {
			err = storagetest.Holds(t.Context(), d, shard(i))
		}
		if err != nil {
			return err
		}
	}
	extra := shard(count)
	if err := d.PutShard(t.Context(), extra); err != nil {
		return err
	}
	return d.DeleteShard(t.Context(), extra.Key)
}
