package storage_test

import (
	"testing"

	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/storagetest"
)

func TestMemory(t *testing.T) {
	storagetest.Test(t, func(_ testing.TB, quota int64) storage.Store {
		return storage.NewMemory(storage.Config{Quota: quota})
	})
}
