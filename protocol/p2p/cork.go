package p2p

import (
	"context"
	"net"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
)

const (
	// tlsRecord is the most bytes that one TLS record carries. leastRecord is less
	// than even the small records carry with which crypto/tls begins a connection:
	// up to that, what is written fits into one record and is a single write anyway.
	tlsRecord   = 16 << 10
	leastRecord = 1 << 10

	// corkSize is how many bytes are gathered for one write to the socket: a
	// frame of the muxer, in records with their headers and tags.
	corkSize = muxMessage / tlsRecord * (tlsRecord + maxTLSOverhead)

	// maxTLSOverhead is by how many bytes, at most, a record is longer than what
	// it carries (RFC 8446, 5.2, and its header).
	maxTLSOverhead = 256 + 5
)

// corkedTLS is libp2p's TLS with fewer and larger writes to the socket.
// crypto/tls makes a system call for each record of 16 KiB, or of 1 KiB at
// first; each goes through the kernel separately, ends in a packet that is not
// full, and wakes the reader.
type corkedTLS struct{ *libp2ptls.Transport }

func newTLS(id libprotocol.ID, key crypto.PrivKey, muxers []upgrader.StreamMuxer) (*corkedTLS, error) {
	t, err := libp2ptls.New(id, key, muxers)
	return &corkedTLS{t}, err
}

// SecureInbound answers a handshake.
func (t *corkedTLS) SecureInbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	c := &cork{Conn: insecure}
	return corked(c)(t.Transport.SecureInbound(ctx, c, p))
}

// SecureOutbound begins a handshake.
func (t *corkedTLS) SecureOutbound(ctx context.Context, insecure net.Conn, p peer.ID) (sec.SecureConn, error) {
	c := &cork{Conn: insecure}
	return corked(c)(t.Transport.SecureOutbound(ctx, c, p))
}

func corked(c *cork) func(sec.SecureConn, error) (sec.SecureConn, error) {
	return func(s sec.SecureConn, err error) (sec.SecureConn, error) {
		if err != nil {
			return nil, err
		}
		return &corkedConn{SecureConn: s, below: c}, nil
	}
}

// corkedConn is a TLS connection that gathers the records of one Write.
type corkedConn struct {
	sec.SecureConn
	below *cork
	mu    sync.Mutex // one Write at a time
}

// Write returns once all of b was given to the socket.
func (c *corkedConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(b) <= leastRecord {
		return c.SecureConn.Write(b)
	}
	c.below.hold()
	n, err := c.SecureConn.Write(b)
	if failed := c.below.release(); err == nil && failed != nil {
		return 0, failed
	}
	return n, err
}

// cork is a connection that gathers small writes while it is held. TLS writes
// to it under a lock of its own, in the order of its records.
type cork struct {
	net.Conn
	mu     sync.Mutex
	held   bool
	buf    *[corkSize]byte // nil while nothing is gathered
	n      int             // bytes gathered
	failed error           // a record was lost: none after it could be decrypted
}

var corkBuffers = sync.Pool{New: func() any { return new([corkSize]byte) }}

func (c *cork) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = true
}

// release writes what was gathered.
func (c *cork) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = false
	err := c.flush()
	if c.buf != nil {
		corkBuffers.Put(c.buf)
		c.buf = nil
	}
	return err
}

// Write gathers b while the connection is held, else writes it.
func (c *cork) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.failed == nil && c.n+len(b) > corkSize {
		_ = c.flush() // its error stays in c
	}
	if c.failed != nil {
		return 0, c.failed
	}
	if !c.held || len(b) > corkSize {
		return c.Conn.Write(b)
	}
	if c.buf == nil {
		c.buf = corkBuffers.Get().(*[corkSize]byte)
	}
	c.n += copy(c.buf[c.n:], b)
	return len(b), nil
}

// flush writes what was gathered. The caller holds mu.
func (c *cork) flush() error {
	if c.n > 0 && c.failed == nil {
		_, c.failed = c.Conn.Write(c.buf[:c.n])
	}
	c.n = 0
	return c.failed
}
