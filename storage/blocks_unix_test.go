//go:build unix

package storage

import (
	"io/fs"
	"path/filepath"
	"syscall"
	"testing"
)

// onDisk returns the bytes of the blocks that a folder's logs take.
func onDisk(t *testing.T, dir string) (n int64) {
	t.Helper()
	err := filepath.WalkDir(filepath.Join(dir, logsName), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return nil //nolint:nilerr // removed meanwhile
		}
		n += int64(info.Sys().(*syscall.Stat_t).Blocks) * 512
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}
