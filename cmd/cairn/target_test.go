package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
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
	tg, err := newTarget(dir, false, protocol.PointerID{1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tg.data.WriteString("hello"); err != nil {
		t.Fatal(err)
	}
	if err := tg.name("a.txt"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "a.txt")); err == nil {
		t.Fatal("it is there before it is whole")
	}
	if err := tg.finish(5, when); err != nil {
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
	if _, err := newTarget(path, false, protocol.PointerID{1}); !errors.Is(err, errExists) {
		t.Fatalf("%v", err)
	}
	// A file that appears while the bytes arrive is safe, too.
	late := filepath.Join(dir, "late")
	tg, err := newTarget(late, false, protocol.PointerID{1})
	if err != nil {
		t.Fatal(err)
	}
	write(t, late, "mine")
	if err := tg.finish(0, time.Time{}); !errors.Is(err, errExists) {
		t.Fatalf("%v", err)
	}
	if b, _ := os.ReadFile(late); string(b) != "mine" {
		t.Fatalf("overwritten by %q", b)
	}
	tg.abandon()
	forced, err := newTarget(path, true, protocol.PointerID{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := forced.finish(0, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if got := entries(t, dir); len(got) != 2 {
		t.Fatalf("left behind: %v", got)
	}
}

func TestTargetLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	for _, name := range hostile {
		tg, err := newTarget(dir, true, protocol.PointerID{1})
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

// A link makes no file that a shell reads when it starts, unless the user names it.
func TestTargetMakesNoStartupFile(t *testing.T) {
	dir := t.TempDir()
	tg, err := newTarget(dir, true, protocol.PointerID{1})
	if err != nil {
		t.Fatal(err)
	}
	var hinted *hintedError
	if err := tg.name(".bash_profile"); !errors.As(err, &hinted) || !strings.Contains(hinted.hint, "name it yourself") {
		t.Errorf("%v", err)
	}
	tg.abandon()
	if tg, err = newTarget(filepath.Join(dir, ".bash_profile"), false, protocol.PointerID{1}); err != nil {
		t.Fatal(err)
	}
	if err := tg.finish(0, time.Time{}); err != nil {
		t.Error(err)
	}
}

// If the link gives a name that a folder has, the user is told before anything is
// fetched.
func TestTargetIsFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, force := range []bool{false, true} {
		tg, err := newTarget(dir, force, protocol.PointerID{1})
		if err != nil {
			t.Fatal(err)
		}
		if err := tg.name("a"); err == nil || errors.Is(err, errExists) || !strings.Contains(err.Error(), "it is a folder") {
			t.Errorf("force %t: %v", force, err)
		}
		tg.abandon()
	}
}

// begin makes a target with something in it that another get can go on with.
func begin(t *testing.T, path string, id protocol.PointerID) *target {
	t.Helper()
	tg, err := newTarget(path, false, id)
	if err != nil {
		t.Fatal(err)
	}
	if tg.tags == nil {
		t.Fatal("nobody can go on with it")
	}
	for _, f := range []*os.File{tg.data, tg.tags} {
		if _, err := f.WriteAt([]byte("so far"), 0); err != nil {
			t.Fatal(err)
		}
	}
	return tg
}

// The next get of the same link into the folder finds what a get has left, whatever
// name it gives the file; gets of other links do not.
func TestTargetGoesOn(t *testing.T) {
	dir := t.TempDir()
	kept := begin(t, filepath.Join(dir, "a"), protocol.PointerID{1}).abandon()
	if info, err := os.Stat(kept); err != nil || info.Mode().Perm() != 0o600 && removesOpen {
		t.Fatalf("kept %q: %v, %v", kept, info, err)
	}
	other, err := newTarget(filepath.Join(dir, "a"), false, protocol.PointerID{2})
	if err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(other.data.Name()); len(b) > 0 {
		t.Fatal("another link's bytes are used")
	}
	if other.abandon() != "" {
		t.Fatal("an empty file is kept")
	}
	again, err := newTarget(filepath.Join(dir, "b"), false, protocol.PointerID{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := again.finish(2, time.Time{}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "b"))
	info, _ := os.Stat(filepath.Join(dir, "b"))
	if string(b) != "so" || err != nil || info.Mode().Perm() != newFileMode && removesOpen {
		t.Fatalf("%q, %v, %v", b, info.Mode(), err)
	}
	if got := entries(t, dir); len(got) != 1 {
		t.Fatalf("left behind: %v", got)
	}
}

// Two gets of one link at the same time do not write to one file.
func TestTargetIsOneGets(t *testing.T) {
	dir := t.TempDir()
	first := begin(t, filepath.Join(dir, "a"), protocol.PointerID{1})
	second, err := newTarget(filepath.Join(dir, "b"), false, protocol.PointerID{1})
	if err != nil {
		t.Fatal(err)
	}
	if second.data.Name() == first.data.Name() || second.tags != nil {
		t.Fatal("both write to one file")
	}
	if second.abandon() != "" || first.abandon() == "" {
		t.Fatal("the wrong one is kept")
	}
}

// What others have put under the partial file's name is left alone.
func TestTargetTrustsNoStranger(t *testing.T) {
	if !removesOpen {
		t.Skip("rights are the folder's on this system")
	}
	id := protocol.PointerID{1}
	for name, prepare := range map[string]func(path, victim string) error{
		"symlink":   func(path, victim string) error { return os.Symlink(victim, path) },
		"hard link": func(path, victim string) error { return os.Link(victim, path) },
		"folder":    func(path, _ string) error { return os.Mkdir(path, 0o700) },
		"open to all": func(path, _ string) error {
			return errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, 0o666))
		},
	} {
		for _, end := range []string{".part", ".tags"} {
			dir := t.TempDir()
			victim := filepath.Join(dir, "victim")
			write(t, victim, "mine")
			tg, err := newTarget(dir, false, id)
			if err != nil {
				t.Fatal(err)
			}
			path := strings.TrimSuffix(tg.data.Name(), ".part") + end
			tg.abandon()
			if err := prepare(path, victim); err != nil {
				t.Fatal(err)
			}
			if tg, err = newTarget(dir, true, id); err != nil {
				t.Fatal(err)
			}
			if _, err := tg.data.WriteString("other"); err != nil || tg.tags != nil {
				t.Errorf("%s at %s: %v", name, end, err)
			}
			tg.path = filepath.Join(dir, "final")
			if err := tg.finish(5, time.Time{}); err != nil {
				t.Error(err)
			}
			if b, _ := os.ReadFile(victim); string(b) != "mine" {
				t.Errorf("%s at %s: a file was overwritten", name, end)
			}
		}
	}
}
