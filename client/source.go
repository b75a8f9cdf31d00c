package client

import (
	"errors"
	"fmt"
	"io"
	"time"
)

// Source is what is put.
type Source struct {
	Reader io.Reader
	Name   string    // base name of the file
	Size   int64     // bytes; -1: unknown
	MTime  time.Time //
	Path   string    // if it is a file: for the journal
	Inode  uint64    // same

	// Stat returns what Size and MTime are by now; nil: unknown. It is called each time
	// a segment has been read, before that is sent, and when all has been.
	Stat func() (size int64, mtime time.Time, err error)
}

// unchanged returns an error if the source was written to since Size and MTime
// were taken. What was read would be some of the old bytes and some of the new.
func (s *Source) unchanged() error {
	if s.Stat == nil {
		return nil
	}
	size, mtime, err := s.Stat()
	switch {
	case err != nil:
		return &sourceError{err}
	case size != s.Size:
		return unread("it has %d bytes now, not %d: %w", size, s.Size, ErrSourceChanged)
	case !mtime.Equal(s.MTime):
		return unread("it was written to at %s: %w", mtime.Format(time.RFC3339Nano), ErrSourceChanged)
	}
	return nil
}

// sourceError is a failure of the source, not of the network.
type sourceError struct{ err error }

func (e *sourceError) Error() string { return "read source: " + e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

func unread(format string, args ...any) error { return &sourceError{fmt.Errorf(format, args...)} }

// exactReader returns an error if a source of known size shrinks or grows, and wraps
// read errors so that they can be told from network errors. It gives no byte beyond
// the size: a source that grows for ever ends there.
type exactReader struct {
	r    io.Reader
	size int64 // -1: unknown
	n    int64
}

func (e *exactReader) Read(b []byte) (int, error) {
	if e.size >= 0 && e.n >= e.size && len(b) > 0 {
		return 0, e.end()
	}
	if e.size >= 0 {
		b = b[:min(int64(len(b)), e.size-e.n)]
	}
	n, err := e.r.Read(b)
	e.n += int64(n)
	switch {
	case errors.Is(err, io.EOF) && e.n < e.size:
		return n, unread("%d of %d bytes: %w", e.n, e.size, ErrSourceChanged)
	case err != nil && !errors.Is(err, io.EOF):
		return n, &sourceError{err}
	}
	return n, err
}

// end returns io.EOF if the source ends where it should.
func (e *exactReader) end() error {
	n, err := io.ReadFull(e.r, make([]byte, 1))
	switch {
	case n > 0:
		return unread("more than its %d bytes: %w", e.size, ErrSourceChanged)
	case !errors.Is(err, io.EOF):
		return &sourceError{err}
	}
	return io.EOF
}
