package main

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func entries(t *testing.T, dir string) (names []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func TestTargetAppearsWhole(t *testing.T) {
	dir := t.TempDir()
	when := time.Date(2020, 2, 3, 4, 5, 6, 0, time.UTC)
	tg, err := newTarget(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tg.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if err := tg.name("a.txt"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a.txt")); err == nil {
		t.Fatal("it is there before it is whole")
	}
	if err := tg.finish(when); err != nil {
		t.Fatal(err)
	}
	tg.abandon() // does nothing any more
	b, err := os.ReadFile(filepath.Join(dir, "a.txt"))
	info, _ := os.Stat(filepath.Join(dir, "a.txt"))
	if string(b) != "hello" || err != nil || !info.ModTime().Equal(when) || len(entries(t, dir)) != 1 {
		t.Fatalf("%q, %v, %s, %v", b, err, info.ModTime(), entries(t, dir))
	}
}

func TestTargetOverwritesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	write(t, path, "mine")
	if _, err := newTarget(path, false); !errors.Is(err, errExists) {
		t.Fatalf("%v", err)
	}
	// One that appears while the bytes arrive is as safe.
	late := filepath.Join(dir, "late")
	tg, err := newTarget(late, false)
	if err != nil {
		t.Fatal(err)
	}
	write(t, late, "mine")
	if err := tg.finish(time.Time{}); !errors.Is(err, errExists) {
		t.Fatalf("%v", err)
	}
	if b, _ := os.ReadFile(late); string(b) != "mine" {
		t.Fatalf("overwritten by %q", b)
	}
	forced, err := newTarget(path, true)
	if err != nil {
		t.Fatal(err)
	}
	if err := forced.finish(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, dir); len(got) != 2 {
		t.Fatalf("left behind: %v", got)
	}
}

func TestTargetLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range hostile {
		tg, err := newTarget(dir, true)
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.name(name); err == nil {
			t.Errorf("a file would be called %q", name)
		}
		tg.abandon()
	}
	if got := entries(t, dir); len(got) != 0 {
		t.Fatalf("left behind: %v", got)
	}
}
