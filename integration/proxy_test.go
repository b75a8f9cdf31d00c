//go:build unix

package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

// proxy stands on the line between a client and a node and keeps what passes,
// in both directions.
type proxy struct {
	addr string // where a client finds the node through it

	mu   sync.Mutex
	seen bytes.Buffer
}

// Write keeps bytes.
func (p *proxy) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen.Write(b)
}

// traffic returns what has passed so far.
func (p *proxy) traffic() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Clone(p.seen.Bytes())
}

// newProxy listens before a node's TCP address.
func newProxy(t *testing.T, n *launch.Node) *proxy {
	t.Helper()
	target := ""
	for _, a := range n.Addrs() {
		if f := strings.Split(a, "/"); f[3] == "tcp" {
			target = net.JoinHostPort(f[2], f[4])
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", l.Addr().(*net.TCPAddr).Port, n.Peer())}
	var lines sync.WaitGroup
	lines.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			lines.Go(func() { p.line(c, target) })
		}
	})
	t.Cleanup(func() { _ = l.Close() })
	return p
}

// line carries one connection.
func (p *proxy) line(c net.Conn, target string) {
	defer func() { _ = c.Close() }()
	s, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = s.Close() }()
	go func() {
		_, _ = io.Copy(io.MultiWriter(s, p), c)
		_ = s.Close()
	}()
	_, _ = io.Copy(io.MultiWriter(c, p), s)
}
