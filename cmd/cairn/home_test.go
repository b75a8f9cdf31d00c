package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// steps are two migrations that note their work; fail makes one of them fail.
type steps struct {
	done []string
	fail string
}

func (s *steps) list() []func(home) error {
	step := func(name string) func(home) error {
		return func(home) error {
			if s.fail == name {
				return errors.New("power cut")
			}
			s.done = append(s.done, name)
			return nil
		}
	}
	return []func(home) error{step("1 to 2"), step("2 to 3")}
}

func silent(string, ...any) {}

func versionOf(t *testing.T, h home) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(h.dir, versionFile))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

func TestHomeOfTodayIsMarked(t *testing.T) {
	h, s := home{t.TempDir()}, new(steps)
	if err := h.bringTo(s.list(), silent); err != nil || len(s.done) > 0 || versionOf(t, h) != "3" {
		t.Errorf("a new home: %v, %q, version %s", err, s.done, versionOf(t, h))
	}
}

// TestOlderHomeIsMigrated: a home without VERSION is of version 1; each step is
// taken once, and one that failed is taken again.
func TestOlderHomeIsMigrated(t *testing.T) {
	h := home{t.TempDir()}
	if err := os.MkdirAll(h.owner(), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &steps{fail: "2 to 3"}
	if err := h.bringTo(s.list(), silent); err == nil || !strings.Contains(err.Error(), "from version 2 to 3") {
		t.Fatalf("a step that fails: %v", err)
	}
	if v := versionOf(t, h); v != "2" {
		t.Fatalf("after the first of two steps: version %s", v)
	}
	s.fail = ""
	for range 2 {
		if err := h.bringTo(s.list(), silent); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"1 to 2", "2 to 3"}; !slices.Equal(s.done, want) || versionOf(t, h) != "3" {
		t.Errorf("%q, version %s", s.done, versionOf(t, h))
	}
}

func TestHomeInUseIsNotMigrated(t *testing.T) {
	for _, held := range []string{filepath.Join(nodeDir, lockFile), filepath.Join(ownerDir, journalFile)} {
		h, s := home{t.TempDir()}, new(steps)
		path := filepath.Join(h.dir, held)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := tryLock(f); err != nil {
			t.Fatal(err)
		}
		if err := h.bringTo(s.list(), silent); err == nil || len(s.done) > 0 || versionOf(t, h) != "1" {
			t.Errorf("%s is held: %v, %q", held, err, s.done)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := h.bringTo(s.list(), silent); err != nil || versionOf(t, h) != "3" {
			t.Errorf("%s is free again: %v", held, err)
		}
	}
}

func TestNewerHomeIsRefused(t *testing.T) {
	h := home{t.TempDir()}
	if err := h.setVersion(3); err != nil {
		t.Fatal(err)
	}
	if err := h.bringTo(nil, silent); !errors.Is(err, errNewerHome) || versionOf(t, h) != "3" {
		t.Errorf("version 3 where 1 is known: %v", err)
	}
}
