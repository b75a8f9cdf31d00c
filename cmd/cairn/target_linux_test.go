package main

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// A whole file in a folder that the user may write to but not read is a success,
// although the folder cannot be synced.
func TestTargetInBlindFolder(t *testing.T) {
	dir := t.TempDir()
	defer func() { _ = os.Chmod(dir, 0o700) }()
	if err := os.Chmod(dir, 0o333); err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked, so that the thread ends with its changed rights
		done <- getAsNobody(dir)
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "a")); string(b) != "hello" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
}

// getAsNobody makes a file by a target. Root may read every folder, so the thread
// becomes another user for the file system.
func getAsNobody(dir string) error {
	if os.Geteuid() == 0 {
		const nobody = 65534
		if err := os.Chmod(filepath.Dir(dir), 0o711); err != nil {
			return err
		}
		if err := os.Chown(dir, nobody, nobody); err != nil {
			return err
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, nobody, 0, 0); errno != 0 {
			return errno
		}
	}
	tg, err := newTarget(filepath.Join(dir, "a"), false, protocol.PointerID{1})
	if err != nil {
		return err
	}
	if _, err := tg.data.WriteString("hello"); err != nil {
		return err
	}
	return tg.finish(5, time.Time{})
}
