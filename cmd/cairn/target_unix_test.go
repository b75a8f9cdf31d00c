//go:build unix

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// What is neither a file nor a link to one is never replaced by a file, even with
// force, and no hint says that it could be. A link to a file is replaced, and not the
// file.
func TestTargetReplacesNoDevice(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	write(t, in("file"), "mine")
	if err := errors.Join(syscall.Mkfifo(in("pipe"), 0o600), os.Symlink("pipe", in("to-pipe")), os.Symlink(os.DevNull, in("to-device")),
		os.Symlink("nowhere", in("dangling")), os.Symlink("file", in("to-file"))); err != nil {
		t.Fatal(err)
	}
	before := entries(t, dir)
	for _, path := range []string{os.DevNull, in("pipe"), in("to-pipe"), in("to-device"), in("dangling")} {
		for _, force := range []bool{false, true} {
			_, err := newTarget(path, force, protocol.PointerID{1})
			var hinted *hintedError
			if !errors.As(err, &hinted) || strings.Contains(hinted.hint, "--force") {
				t.Errorf("%s, force %t: %v", path, force, err)
			}
		}
	}
	if after := entries(t, dir); len(after) != len(before) {
		t.Errorf("left behind: %v", after)
	}

	// A pipe that takes the name while the bytes arrive is safe, too.
	late, err := newTarget(in("late"), true, protocol.PointerID{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Mkfifo(in("late"), 0o600), late.finish(0, time.Time{})); err == nil {
		t.Error("a pipe was replaced")
	}
	late.abandon()

	tg, err := newTarget(in("to-file"), true, protocol.PointerID{1})
	if err != nil {
		t.Fatal(err)
	}
	if err := tg.finish(0, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(in("file")); string(b) != "mine" || err != nil {
		t.Errorf("the file that a link led to was written to: %q, %v", b, err)
	}
	if info, err := os.Lstat(in("to-file")); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link was not replaced: %v, %v", info, err)
	}
}

// What a standard stream goes to, where that is a file, is not replaced by way of
// /dev/stdout or /dev/stderr: these would be gone for everybody.
func TestTargetIsStandardStream(t *testing.T) {
	for name, stream := range map[string]**os.File{"stdout": &os.Stdout, "stderr": &os.Stderr} {
		dir := t.TempDir()
		out, err := os.Create(filepath.Join(dir, "out"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("out", filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		old := *stream
		*stream = out
		_, err = newTarget(filepath.Join(dir, name), true, protocol.PointerID{1})
		*stream = old
		_ = out.Close()
		if err == nil {
			t.Errorf("%s would be replaced", name)
		}
	}
}

// A get that is killed when its file already has the rights of any new file, which
// under some masks lets a group write, loses nothing; a file with more rights than
// these is not taken up.
func TestTargetGoesOnWithItsRights(t *testing.T) {
	old := newFileMode
	newFileMode = 0o664
	defer func() { newFileMode = old }()
	for mode, goesOn := range map[os.FileMode]bool{0o664: true, 0o600: true, 0o666: false, 0o660: false} {
		dir := t.TempDir()
		first := begin(t, dir, protocol.PointerID{1})
		if err := errors.Join(first.data.Chmod(mode), first.data.Close(), first.tags.Close()); err != nil {
			t.Fatal(err)
		}
		again, err := newTarget(dir, false, protocol.PointerID{1})
		if err != nil {
			t.Fatal(err)
		}
		info, err := again.data.Stat()
		if taken := again.tags != nil; taken != goesOn || err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%o: taken up: %t, %v, %v", mode, taken, info.Mode(), err)
		}
		again.abandon()
	}
}
