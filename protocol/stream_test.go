package protocol

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// script is a stream whose other end sends given bytes without waiting for any
// answer, and then closes.
type script struct {
	in      io.Reader
	out     bytes.Buffer
	ended   bool
	wasLost bool // ended by Reset
}

func (s *script) Read(p []byte) (int, error)       { return s.in.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return s.out.Write(p) }
func (s *script) Close() error                     { s.ended = true; return nil }
func (s *script) Reset() error                     { s.ended, s.wasLost = true, true; return nil }
func (s *script) SetReadDeadline(time.Time) error  { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }
func (s *script) Remote() Remote                   { return Remote{Peer: "them"} }

// watched is one end of a pipe that notes how it was ended.
type watched struct {
	net.Conn
	closed, reset atomic.Bool
}

func (w *watched) Close() error   { w.closed.Store(true); return w.Conn.Close() }
func (w *watched) Reset() error   { w.reset.Store(true); return w.Conn.Close() }
func (w *watched) Remote() Remote { return Remote{Peer: "them"} }

// serving runs Serve on one end of a pipe. It returns the other end, the watched end,
// and a channel with what Serve returned.
func serving(ctx context.Context, h Handler) (client net.Conn, server *watched, ended chan error) {
	a, b := net.Pipe()
	server, ended = &watched{Conn: b}, make(chan error, 1)
	go func() { ended <- Serve(ctx, server, h) }()
	return a, server, ended
}

// send writes a request's frame and raw bytes behind it.
func send(t *testing.T, w io.Writer, r Request, raw []byte) {
	t.Helper()
	if _, err := w.Write(append(frameOf(byte(r.Kind()), encoded(encodeMessage(r))), raw...)); err != nil {
		t.Fatalf("send %s: %v", r.Kind(), err)
	}
}

// receive reads a reply into m, or returns the refusal.
func receive(t *testing.T, r io.Reader, m Message) error {
	t.Helper()
	status, n, err := readHeader(r)
	if err != nil {
		return err
	}
	if status == statusOK {
		return readMessage(r, n, m)
	}
	no := new(refusal)
	if err := readMessage(r, n, no); err != nil {
		t.Fatalf("refusal: %v", err)
	}
	return &Error{no.Code, no.Text}
}

// dialled is a network that counts streams and serves each with next; it keeps our
// ends, to see how they were ended.
type dialled struct {
	pipeNet
	mu      sync.Mutex
	streams []*watched
	next    func(n int, their Stream) // n: how many streams there were before
}

func (d *dialled) Open(context.Context, peer.ID) (Stream, error) {
	a, b := net.Pipe()
	ours := &watched{Conn: a}
	d.mu.Lock()
	n := len(d.streams)
	d.streams = append(d.streams, ours)
	d.mu.Unlock()
	go d.next(n, &watched{Conn: b})
	return ours, nil
}

func (d *dialled) opened() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.streams)
}
