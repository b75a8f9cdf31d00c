package kv

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// mapped returns how many bytes of files this process has in memory.
func mapped(t *testing.T) int64 {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip(err)
	}
	m := regexp.MustCompile(`RssFile:\s+(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Skip("this kernel does not tell")
	}
	kB, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kB << 10
}

// What a walk over the file has mapped is released, and can still be read.
func TestTrim(t *testing.T) {
	const rows, size = 2000, 16 << 10
	db, err := Open(filepath.Join(t.TempDir(), "db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	err = db.Update(func(tx *Tx) error {
		for i := range rows {
			if err := tx.Put("b", binary.BigEndian.AppendUint32(nil, uint32(i)), make([]byte, size)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	walk := func() (n int) {
		err := db.View(func(tx *Tx) error {
			for _, v := range tx.Scan("b", nil) {
				n += len(v)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	walk()
	full := mapped(t)
	if err := db.Trim(); err != nil {
		t.Fatal(err)
	}
	if left := mapped(t); full-left < rows*size/2 {
		t.Errorf("%d MiB mapped after a walk over %d, %d after Trim", full>>20, rows*size>>20, left>>20)
	}
	if n := walk(); n != rows*size {
		t.Errorf("%d bytes are there, want %d", n, rows*size)
	}
}
