package p2p

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"golang.org/x/sync/errgroup"
)

// counting counts the writes to a connection, and fails them once told so.
type counting struct {
	net.Conn
	mu     sync.Mutex
	writes int
	bytes  int
	broken error
}

func (c *counting) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.writes++
	c.bytes += len(b)
	err := c.broken
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *counting) take() (writes, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	writes, bytes = c.writes, c.bytes
	c.writes, c.bytes = 0, 0
	return writes, bytes
}

func (c *counting) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = err
}

// secured returns both ends of a TLS connection, and what is below the first.
func secured(t *testing.T) (out, in sec.SecureConn, below *counting) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var ends [2]*corkedTLS
	var ids [2]peer.ID
	for i := range ends {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if ends[i], err = newTLS("/tls/1.0.0", key, nil); err != nil {
			t.Fatal(err)
		}
		if ids[i], err = peer.IDFromPrivateKey(key); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	below = &counting{Conn: raw}
	var both errgroup.Group
	both.Go(func() (err error) { in, err = ends[1].SecureInbound(context.Background(), far, ids[0]); return err })
	out, err = ends[0].SecureOutbound(context.Background(), below, ids[1])
	if err := errors.Join(err, both.Wait()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = out.Close(), in.Close() })
	return out, in, below
}

// read reads as much as want has and compares.
func read(t *testing.T, c net.Conn, want []byte) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatalf("%d bytes came otherwise than they were sent", len(want))
	}
}

func TestCorkedTLS(t *testing.T) {
	out, in, below := secured(t)
	content := make([]byte, 5*muxMessage+1)
	_, _ = rand.Read(content)
	below.take()
	for _, n := range []int{1, leastRecord, leastRecord + 1, tlsRecord, tlsRecord + 1, muxMessage - 1, muxMessage, muxMessage + 1, len(content)} {
		sent := make(chan error, 1)
		go func() { _, err := out.Write(content[:n]); sent <- err }()
		read(t, in, content[:n])
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if writes, _ := below.take(); n <= muxMessage && writes != 1 {
			t.Errorf("%d writes for %d bytes", writes, n)
		}
	}
	for range 4 {
		sent := make(chan error, 1)
		go func() { _, err := out.Write(content[:muxMessage]); sent <- err }()
		read(t, in, content[:muxMessage])
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	if writes, n := below.take(); writes != 4 || n < 4*muxMessage {
		t.Errorf("%d writes of %d bytes in all, for 4 frames", writes, n)
	}
	if below.take(); out.(*corkedConn).below.buf != nil {
		t.Error("an idle connection keeps a buffer")
	}
}

// TestCorkedTLSManyWriters has small writes come in between large ones.
func TestCorkedTLSManyWriters(t *testing.T) {
	out, in, _ := secured(t)
	const each = 50
	var all errgroup.Group
	for _, size := range []int{1, 100, tlsRecord + 7, muxMessage, 2 * muxMessage} {
		all.Go(func() error {
			for range each {
				if _, err := out.Write(bytes.Repeat([]byte{byte(size)}, size)); err != nil {
					return err
				}
			}
			return nil
		})
	}
	total := each * (1 + 100 + tlsRecord + 7 + 3*muxMessage)
	if _, err := io.CopyN(io.Discard, in, int64(total)); err != nil {
		t.Error(err)
	}
	if err := all.Wait(); err != nil {
		t.Error(err)
	}
}

// TestCorkedTLSFails checks that no record follows one that is lost.
func TestCorkedTLSFails(t *testing.T) {
	out, _, below := secured(t)
	broken := errors.New("line cut")
	below.fail(broken)
	if n, err := out.Write(make([]byte, muxMessage)); !errors.Is(err, broken) || n != 0 {
		t.Errorf("%d bytes written, %v", n, err)
	}
	below.fail(nil)
	below.take()
	for _, size := range []int{1, muxMessage} {
		if _, err := out.Write(make([]byte, size)); !errors.Is(err, broken) {
			t.Errorf("%d bytes after a lost record: %v", size, err)
		}
	}
	if writes, _ := below.take(); writes != 0 {
		t.Errorf("%d writes after a lost record", writes)
	}
}
