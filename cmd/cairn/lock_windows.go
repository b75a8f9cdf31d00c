package main

import (
	"io"
	"os"

	"golang.org/x/sys/windows"
)

// tryLock locks an open file until it is closed, or the process ends.
func tryLock(f *os.File) error {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	return windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
}

// syncDir does nothing: Windows cannot sync a folder, and NTFS journals names.
func syncDir(string) error { return nil }

// removesOpen says that a file can be renamed and removed while it is open.
const removesOpen = false

// newFileMode is not known here: rights come from the folder.
const newFileMode = os.FileMode(0o666)

// isOwn reports whether a file is a regular one. Who may write to it depends on its
// folder's rights.
func isOwn(info os.FileInfo) bool { return info.Mode().IsRegular() }

// openKeyboard opens the console's input, whatever standard input is.
func openKeyboard() (io.ReadCloser, error) { return os.OpenFile("CONIN$", os.O_RDWR, 0) }

// fileID is not known here: only size and time tell that a source has changed.
func fileID(os.FileInfo) uint64 { return 0 }
