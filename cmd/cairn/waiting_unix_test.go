//go:build unix

package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What comes through a pipe arrives whole, in order and with its end.
func TestWaitingReads(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("0123456789", waitingBuffer/4)
	go func() {
		_, _ = w.WriteString(text)
		_ = w.Close()
	}()
	a := newApp(r, io.Discard, io.Discard)
	if b, err := io.ReadAll(a.input(t.Context())); string(b) != text || err != nil {
		t.Fatalf("%d bytes of %d, %v", len(b), len(text), err)
	}
}

// A file on standard input stays one that can be read from the middle.
func TestInputIsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a")
	write(t, path, "hello")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if _, ok := newApp(f, io.Discard, io.Discard).input(t.Context()).(io.Seeker); !ok {
		t.Error("it cannot be read again from its beginning")
	}
}

// An interrupted command ends even if nobody sends anything: neither on standard
// input nor on a named pipe, whether another process has opened it or not.
func TestWaitingGivesUp(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	a := newApp(r, io.Discard, io.Discard)
	defer a.close()
	for name, read := range map[string]func(ctx context.Context) error{
		"standard input": func(ctx context.Context) error {
			src, err := a.openSource(ctx, stdio, "")
			if err == nil {
				_, err = src.Reader.Read(make([]byte, 1))
			}
			return err
		},
		"a link": func(ctx context.Context) error {
			_, err := a.readLink(ctx, stdio)
			return err
		},
		"a pipe that nobody has opened": func(ctx context.Context) error {
			_, err := a.openSource(ctx, fifo, "")
			return err
		},
	} {
		gaveUp(t, name, read)
	}
	gaveUp(t, "a pipe that somebody has opened", func(ctx context.Context) error {
		other, err := os.OpenFile(fifo, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer func() { _ = other.Close() }()
		src, err := a.openSource(ctx, fifo, "")
		if err == nil {
			_, err = src.Reader.Read(make([]byte, 1))
		}
		return err
	})
}

func gaveUp(t *testing.T, name string, read func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() { done <- read(ctx) }()
	cancel(errInterrupted)
	select {
	case err := <-done:
		if !errors.Is(err, errInterrupted) {
			t.Errorf("%s: %v", name, err)
		}
	case <-time.After(time.Minute):
		t.Errorf("%s: it waits on", name)
	}
}
