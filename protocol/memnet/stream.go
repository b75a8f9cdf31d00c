package memnet

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// ErrReset is returned by a stream that either side reset, or that broke.
var ErrReset = errors.New("stream reset")

// Remote tells who is at the other end.
func (e *end) Remote() protocol.Remote { return e.remote }

// SetReadDeadline bounds reads, those under way too. The zero time lifts it.
func (e *end) SetReadDeadline(t time.Time) error { return e.setDeadline(&e.readUntil, t) }

// SetWriteDeadline bounds writes, those under way too. The zero time lifts it.
func (e *end) SetWriteDeadline(t time.Time) error { return e.setDeadline(&e.writeUntil, t) }

func (e *end) setDeadline(which *time.Time, t time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if err := e.usable(); err != nil {
		return err
	}
	*which = t
	e.changed()
	return nil
}

// Read waits for bytes, the end of the stream, or the deadline, which it
// reports as os.ErrDeadlineExceeded.
func (e *end) Read(b []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		now := time.Now()
		next, err := e.ready(now, e.readUntil)
		if err != nil || len(b) == 0 {
			return 0, err
		}
		in := &e.lanes[1-e.side]
		if !in.held {
			if n := in.take(b, now); n > 0 {
				e.changed()
				return n, nil
			}
			if in.ended(now) {
				return 0, io.EOF
			}
			next = earlier(next, in.next())
		}
		e.wait(next)
	}
}

// Write returns when all of b is in the window, which is before the peer has
// read it.
func (e *end) Write(b []byte) (n int, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		now := time.Now()
		next, err := e.ready(now, e.writeUntil)
		if err != nil || len(b) == 0 {
			return n, err
		}
		took := e.lanes[e.side].put(b[n:], now, e.owner, e.ends[1-e.side].owner)
		if took == 0 {
			e.wait(next)
			continue
		}
		n += took
		e.changed()
		if e.breaks(took) {
			return n, ErrReset
		}
		if n == len(b) {
			return n, nil
		}
	}
}

// ready reports what forbids a read or write, and when to look again.
func (e *end) ready(now, deadline time.Time) (next time.Time, err error) {
	if err := e.usable(); err != nil {
		return next, err
	}
	if !deadline.IsZero() && !now.Before(deadline) {
		return next, os.ErrDeadlineExceeded
	}
	next = deadline
	if in := &e.lanes[1-e.side]; in.reset && !in.held {
		if !now.Before(in.resetDue) {
			e.die(ErrReset)
			return next, ErrReset
		}
		next = earlier(next, in.resetDue)
	}
	return next, nil
}

func (e *end) usable() error {
	switch {
	case e.dead != nil:
		return e.dead
	case e.closed:
		return net.ErrClosed
	}
	return nil
}

// Close lets what was written arrive, then the end of the stream. What the peer
// still writes is lost, and once that fills the window the peer's writes block, as
// over TCP, until its deadline.
func (e *end) Close() error {
	e.mu.Lock()
	if e.usable() == nil {
		e.closed = true
		out := &e.lanes[e.side]
		out.closed, out.closeDue = true, out.after(time.Now())
		e.lanes[1-e.side].drop()
		e.changed()
	}
	e.mu.Unlock()
	e.forget()
	return nil
}

// Reset ends both directions; the peer sees it as soon as it can arrive, and loses
// what it has not read by then, even after a Close, as over QUIC.
func (e *end) Reset() error {
	e.mu.Lock()
	e.die(ErrReset)
	e.mu.Unlock()
	e.forget()
	return nil
}
