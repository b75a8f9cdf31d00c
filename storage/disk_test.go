package storage_test

import (
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

func TestDisk(t *testing.T) {
	storagetest.Test(t, func(t testing.TB, quota int64) storage.Store {
		d, err := storage.Open(storage.Config{Dir: t.TempDir(), Owner: "test", Quota: quota, Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		return d
	})
}
