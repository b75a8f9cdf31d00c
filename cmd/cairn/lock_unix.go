//go:build unix

package main

import (
	"fmt"
	"io"
	"os"
	"syscall"
)

// tryLock locks an open file until it is closed, or the process ends.
func tryLock(f *os.File) error { return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }

// syncDir makes a rename in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	defer func() { _ = d.Close() }()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	return nil
}

// removesOpen says that a file can be renamed and removed while it is open.
const removesOpen = true

// newFileMode is the mode of a new file under the user's mask. The mask is read once,
// before any file is made, because reading it means setting it.
var newFileMode = func() os.FileMode {
	mask := syscall.Umask(0o077)
	syscall.Umask(mask)
	return os.FileMode(0o666 &^ mask)
}()

// isOwn reports whether a file is a regular one of this user's, under one name, to
// which nobody else can write, except those that could write to any new file: a get
// that was killed may have given it newFileMode already.
func isOwn(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	mode := info.Mode().Perm()
	return ok && info.Mode().IsRegular() && (mode&0o022 == 0 || mode == newFileMode) && st.Nlink == 1 && int(st.Uid) == os.Geteuid()
}

// openKeyboard opens the terminal that the process belongs to, whatever its
// standard input is.
func openKeyboard() (io.ReadCloser, error) { return os.Open("/dev/tty") }

// fileID returns a number that differs for another file that has taken its name.
func fileID(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}
