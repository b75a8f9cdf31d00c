package main

import (
	"os"
	"path/filepath"
	"sync"

	"github.com/cairnstore/cairn/protocol"
)

// tapped is a stream of which both directions are kept in files.
type tapped struct {
	protocol.Stream
	mu      sync.Mutex
	in, out *os.File
}

// tap keeps what a stream carries, if the home has a folder for that.
func (w *wrapper) tap(s protocol.Stream) (protocol.Stream, func()) {
	dir := filepath.Join(w.home, "wire")
	if _, err := os.Stat(dir); err != nil {
		return s, func() {}
	}
	in, err := os.CreateTemp(dir, "in-*")
	if err != nil {
		return s, func() {}
	}
	out, err := os.CreateTemp(dir, "out-*")
	if err != nil {
		_ = in.Close()
		return s, func() {}
	}
	return &tapped{Stream: s, in: in, out: out}, func() { _, _ = in.Close(), out.Close() }
}

// Read keeps what the peer sent.
func (t *tapped) Read(b []byte) (int, error) {
	n, err := t.Stream.Read(b)
	t.mu.Lock()
	defer t.mu.Unlock()
	_, _ = t.in.Write(b[:n])
	return n, err
}

// Write keeps what the peer is told.
func (t *tapped) Write(b []byte) (int, error) {
	t.mu.Lock()
	_, _ = t.out.Write(b)
	t.mu.Unlock()
	return t.Stream.Write(b)
}
