//go:build !unix

package storage

import (
	"os"
	"path/filepath"
	"testing"
)

// onDisk returns the bytes of a folder's logs.
func onDisk(t *testing.T, dir string) (n int64) {
	t.Helper()
	list, err := os.ReadDir(filepath.Join(dir, logsName))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
	}
	return n
}
