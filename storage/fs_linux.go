package storage

import (
	"errors"

	"golang.org/x/sys/unix"
)

// vectors is how many buffers one pwritev takes at most (IOV_MAX).
const vectors = 1024

// WriteVec implements File: no byte is copied on its way into the kernel.
func (f osFile) WriteVec(bufs [][]byte, off int64) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	rest := make([][]byte, 0, len(bufs))
	for _, b := range bufs {
		if len(b) > 0 {
			rest = append(rest, b)
		}
	}
	for len(rest) > 0 {
		var n int
		var failed error
		err := c.Write(func(fd uintptr) bool {
			n, failed = unix.Pwritev(int(fd), rest[:min(len(rest), vectors)], off)
			return failed != unix.EAGAIN
		})
		switch {
		case err != nil:
			return err
		case failed == unix.EINTR:
			continue
		case failed != nil:
			return kindOf(failed)
		}
		off += int64(n)
		rest = advance(rest, n)
	}
	return nil
}

// advance drops the first n bytes of bufs.
func advance(bufs [][]byte, n int) [][]byte {
	for len(bufs) > 0 && n >= len(bufs[0]) {
		n -= len(bufs[0])
		bufs = bufs[1:]
	}
	if n > 0 {
		bufs[0] = bufs[0][n:]
	}
	return bufs
}

// Sync implements File: contents and length, but not the times, which would
// cost a second write.
func (f osFile) Sync() error {
	return f.control(func(fd int) error { return unix.Fdatasync(fd) })
}

// Reserve implements File.
func (f osFile) Reserve(off, length int64) {
	_ = f.control(func(fd int) error { // a hint: some file systems cannot
		return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, off, length)
	})
}

func (f osFile) control(do func(fd int) error) error {
	c, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = c.Control(func(fd uintptr) {
		for {
			if failed = do(int(fd)); !errors.Is(failed, unix.EINTR) {
				return
			}
		}
	})
	if err != nil {
		return err
	}
	return kindOf(failed)
}
