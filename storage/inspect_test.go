package storage

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// TestInspect looks at a store before, while and after a node has it open, and
// changes nothing.
func TestInspect(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	cfg := Config{Dir: dir, Owner: "me", Quota: 64 << 20, Reserve: -1}
	if _, err := Inspect(cfg); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := Inspect(cfg)
	if err != nil || f.Owner != "" || f.InUse || f.Used != 0 || f.Free == 0 {
		t.Errorf("an empty folder: %+v, %v", f, err)
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("looking at it left %v, %v", list, err)
	}
	known := cfg
	known.Existing = true
	if _, err := Inspect(known); !errors.Is(err, ErrSuspended) {
		t.Errorf("an empty folder where a store was: %v", err)
	}

	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if f, err := Inspect(known); err != nil || f.Owner != "me" || !f.InUse {
		t.Errorf("an open store: %+v, %v", f, err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err := Inspect(known); err != nil || f.Owner != "me" || f.InUse || f.Free > cfg.Quota {
		t.Errorf("a closed store: %+v, %v", f, err)
	}

	sentinel := filepath.Join(dir, sentinelName)
	if err := os.Rename(sentinel, sentinel+"-away"); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, logsName, "0000000009.log"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(cfg); !errors.Is(err, ErrSuspended) {
		t.Errorf("logs without a sentinel: %v", err)
	}
	if err := os.WriteFile(sentinel, []byte("something else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Inspect(cfg); !errors.Is(err, ErrForeign) {
		t.Errorf("a sentinel that is none: %v", err)
	}
}
