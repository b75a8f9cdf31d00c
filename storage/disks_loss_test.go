package storage_test

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

// A group lies in one store. Losing one of two stores loses only what lay there,
// and nothing of that is reported as not found.
func TestDisksLoseOne(t *testing.T) {
	const groups, segments = 8, 5
	var files [2]*storagetest.FS
	var stores [2]storage.Store
	for i := range stores {
		files[i] = storagetest.NewFS()
		stores[i] = openDisk(t, crashConfig(files[i], filepath.Join(fast(t), "index.db")))
	}
	d := storage.NewDisks(stores[:]...)
	var shards []*storage.Shard
	for g := range groups {
		if err := d.PutFact(t.Context(), storagetest.Fact(g, 1, 50)); err != nil {
			t.Fatal(err)
		}
		for i := range segments {
			sh := storagetest.Shard(1, g, 10*g+i, 1, 3000)
			if err := d.PutShard(t.Context(), sh); err != nil {
				t.Fatal(err)
			}
			shards = append(shards, sh)
		}
	}
	for i, u := range d.Usages() {
		if u.Groups != groups/2 || u.Shards != groups/2*segments {
			t.Errorf("store %d has %d groups, %d shards", i, u.Groups, u.Shards)
		}
	}
	if err := stores[0].Close(); err != nil {
		t.Fatal(err)
	}
	there := 0
	for _, sh := range shards {
		switch err := storagetest.Holds(t.Context(), d, sh); {
		case err == nil:
			there++
		case errors.Is(err, storage.ErrNotFound):
			t.Error("a shard of the lost store is called absent")
		case !errors.Is(err, storage.ErrClosed):
			t.Error(err)
		}
	}
	if there != len(shards)/2 {
		t.Errorf("%d of %d shards are there, want half", there, len(shards))
	}
	listed, failed := 0, 0
	for _, err := range d.Groups(t.Context()) {
		if err != nil {
			failed++
			continue
		}
		listed++
	}
	if listed != groups/2 || failed != 1 {
		t.Errorf("%d groups and %d errors, want %d and 1", listed, failed, groups/2)
	}
	if u := d.Usage(); u.Err != nil || u.Free == 0 {
		t.Errorf("one store works, usage says %+v", u)
	}
	if err := d.PutShard(t.Context(), storagetest.Shard(1, 99, 999, 1, 100)); err != nil {
		t.Errorf("put into what is left: %v", err)
	}
	if err := d.DeleteShard(t.Context(), shards[0].Key); err == nil {
		t.Error("a delete that may have missed its shard was acknowledged")
	}
}
