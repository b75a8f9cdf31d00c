package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A source reports that it was written to while it was put.
func TestOpenFileTellsOfWrites(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, "old")
	a := new(app)
	defer a.close()
	src, err := a.openFile(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if size, mtime, err := src.Stat(); size != 3 || !mtime.Equal(src.MTime) || err != nil {
		t.Fatalf("untouched: %d bytes, %s and not %s, %v", size, mtime, src.MTime, err)
	}
	write(t, path, "newer")
	later := src.MTime.Add(time.Second)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if size, mtime, err := src.Stat(); size != 5 || !mtime.Equal(later) || err != nil {
		t.Fatalf("written to: %d bytes, %s, %v", size, mtime, err)
	}
}
