package storage_test

import (
	"errors"
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

func TestMemory(t *testing.T) {
	storagetest.Test(t, func(_ testing.TB, quota int64) storage.Store {
		return storage.NewMemory(storage.Config{Quota: quota})
	})
}

// A store whose disk is away says so, and has everything when the disk is back.
func TestMemoryUnmount(t *testing.T) {
	m := storage.NewMemory(storage.Config{Quota: 1 << 20})
	f := storage.Fact{Kind: 1, Bytes: []byte("kept")}
	if err := m.PutFact(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	m.Unmount(true)
	if u := m.Usage(); !errors.Is(u.Err, storage.ErrSuspended) || u.Free != 0 {
		t.Errorf("usage of a store that is away: %+v", u)
	}
	if _, err := m.Fact(t.Context(), f.Group, f.ID()); !errors.Is(err, storage.ErrSuspended) {
		t.Errorf("read: %v", err)
	}
	if err := m.PutFact(t.Context(), storage.Fact{Kind: 2, Bytes: []byte("new")}); !errors.Is(err, storage.ErrSuspended) {
		t.Errorf("write: %v", err)
	}
	for _, err := range m.Groups(t.Context()) {
		if !errors.Is(err, storage.ErrSuspended) {
			t.Errorf("list: %v", err)
		}
	}
	m.Unmount(false)
	if got, err := m.Fact(t.Context(), f.Group, f.ID()); err != nil || string(got.Bytes) != "kept" {
		t.Errorf("after it is back: %q, %v", got.Bytes, err)
	}
	if u := m.Usage(); u.Err != nil || u.Free == 0 {
		t.Errorf("usage after it is back: %+v", u)
	}
}
