package storage_test

import (
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
