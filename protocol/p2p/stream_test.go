package p2p

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// echo sends back what a stream brings.
func echo(s protocol.Stream) {
	if _, err := io.Copy(s, s); err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}

func TestEchoOverTCPAndTLS(t *testing.T) {
	node := startNode(t, Config{})
	client := startClient(t, Config{}, node)
	s, err := client.Open(deadline(t), node.Self())
	if err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, 4<<20)
	rand.Read(sent)
	var wrote error
	var wg sync.WaitGroup
	wg.Go(func() { // 4 MiB exceed every buffer: both directions run at the same time
		_, wrote = s.Write(sent)
		if w, ok := s.(*stream); wrote == nil && ok {
			wrote = w.CloseWrite()
		}
	})
	got, err := io.ReadAll(s)
	wg.Wait()
	if err := errors.Join(err, wrote, s.Close()); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, sent) {
		t.Fatalf("%d bytes came back of %d", len(got), len(sent))
	}
	conns := client.host.Network().ConnsToPeer(node.Self())
	if len(conns) != 1 {
		t.Fatalf("%d connections", len(conns))
	}
	if c := conns[0].ConnState(); c.Transport != "tcp" || c.Security != libp2ptls.ID {
		t.Fatalf("carried by %s and %s", c.Transport, c.Security)
	}
}

func TestRemoteTellsWhoAsks(t *testing.T) {
	node := startNode(t, Config{})
	asked := make(chan protocol.Remote, 1)
	node.Serve(func(s protocol.Stream) { asked <- s.Remote(); echo(s) })
	client := startClient(t, Config{}, node)
	s, err := client.Open(deadline(t), node.Self())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Reset()
	if _, err := s.Write([]byte("x")); err != nil { // negotiation is lazy
		t.Fatal(err)
	}
	r := <-asked
	if r.Peer != client.Self() || r.Relayed || r.Addr == nil {
		t.Fatalf("asked by %+v", r)
	}
	if a, relayed, ok := node.RemoteAddr(client.Self()); !ok || relayed || !a.Equal(r.Addr) {
		t.Fatalf("remote address %v %v %v, not %v", a, relayed, ok, r.Addr)
	}
	if s.Remote().Peer != node.Self() {
		t.Fatal("the client's stream has another end")
	}
}

// A peer that has connected before Serve was called has its stream answered.
func TestStreamsWaitForServe(t *testing.T) {
	node := start(t, Config{Server: true, Listen: []multiaddr.Multiaddr{mustAddr(t, "/ip4/127.0.0.1/tcp/0")}})
	client := startClient(t, Config{}, node) // which has heard that it serves
	s, err := client.Open(deadline(t), node.Self())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Reset() }()
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	node.Serve(echo)
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
}

func TestCloseLosesNothing(t *testing.T) {
	node := startNode(t, Config{})
	text := make([]byte, 300<<10)
	rand.Read(text)
	node.Serve(func(s protocol.Stream) { // answers at length and is gone
		_, _ = io.Copy(io.Discard, s)
		if _, err := s.Write(text); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	client := startClient(t, Config{}, node)
	s, err := client.Open(deadline(t), node.Self())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.(*stream).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%d bytes of %d, %v", len(got), len(text), err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDeadlineAndReset(t *testing.T) {
	node := startNode(t, Config{})
	ended := make(chan error, 1)
	node.Serve(func(s protocol.Stream) {
		_, err := io.Copy(io.Discard, s)
		ended <- err
	})
	client := startClient(t, Config{}, node)
	s, err := client.Open(deadline(t), node.Self())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	if err := s.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	var timeout net.Error
	if _, err := s.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Fatal("read past the deadline: ", err)
	}
	if err := s.Reset(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Fatal("the other end saw no reset")
	}
}

func TestManyStreamsAtOnce(t *testing.T) {
	const many = 300 // libp2p's defaults refuse the 76th
	node := startNode(t, Config{})
	client := startClient(t, Config{}, node)
	var streams []protocol.Stream
	for i := range many {
		s, err := client.Open(deadline(t), node.Self())
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		if err == nil {
			_, err = io.ReadFull(s, make([]byte, 1))
		}
		if err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
		streams = append(streams, s)
	}
	for _, s := range streams {
		_ = s.Reset()
	}
}

// TestBlackHole has an address that accepts TCP and never answers.
func TestBlackHole(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	node := startNode(t, Config{})
	client := startClient(t, Config{}, node)
	dead := newPeerID(t)
	hole := mustAddr(t, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port))
	client.Learn(peer.AddrInfo{ID: dead, Addrs: []multiaddr.Multiaddr{hole}})

	short, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	failed := make(chan error, 1)
	go func() {
		_, err := client.Open(short, dead)
		failed <- err
	}()
	started := time.Now()
	s, err := client.Open(deadline(t), node.Self())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Reset()
	if took := time.Since(started); took > time.Second {
		t.Fatalf("opening a living peer took %v beside a black hole", took)
	}
	if err := <-failed; !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal("black hole: ", err)
	}
	if took := time.Since(started); took > 2*time.Second {
		t.Fatalf("a deadline of 300 ms was seen after %v", took)
	}
}

func TestUnreachable(t *testing.T) {
	node := startNode(t, Config{})
	client := startClient(t, Config{}, node)
	gone := peer.AddrInfo{ID: newPeerID(t), Addrs: []multiaddr.Multiaddr{mustAddr(t, "/ip4/127.0.0.1/tcp/1")}}
	client.Learn(gone)
	for _, id := range []peer.ID{gone.ID, newPeerID(t), client.Self(), "nonsense"} {
		if _, err := client.Open(deadline(t), id); !errors.Is(err, protocol.ErrUnreachable) {
			t.Fatalf("open %s: %v", id, err)
		}
	}
	// A client serves nobody.
	if _, err := node.Open(deadline(t), client.Self()); !errors.Is(err, protocol.ErrUnreachable) {
		t.Fatal("open a client: ", err)
	}
}

// TestOtherNetwork has two networks whose peers know one another.
func TestOtherNetwork(t *testing.T) {
	node := startNode(t, Config{Network: "one"})
	other := startNode(t, Config{Network: "two"}, node)
	if err := other.Wait(deadline(t)); !errors.Is(err, ErrAlone) {
		t.Fatal("met a peer of another network: ", err)
	}
	if _, err := other.Open(deadline(t), node.Self()); !errors.Is(err, protocol.ErrUnreachable) {
		t.Fatal("opened a stream to another network: ", err)
	}
	if n := other.dht.RoutingTable().Size(); n != 0 {
		t.Fatalf("%d peers of another network in the table", n)
	}
}

func TestRestartedNodeIsReachedAtOnce(t *testing.T) {
	key := newKey(t)
	node := startNode(t, Config{Key: key})
	listen := node.ownAddrs()
	client := startClient(t, Config{}, node)
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client sees it go", func() bool { return client.Peers() == 0 })
	for i := range 6 { // enough for libp2p's backoff to last for a good while
		started := time.Now()
		if _, err := client.Open(deadline(t), node.Self()); err == nil {
			t.Fatal("opened a stream to a dead node")
		}
		// The first may wait for a dial that the client itself began when it saw the
		// node go, and that the stopping node still accepted over TCP.
		if took := time.Since(started); i > 0 && took > time.Second {
			t.Fatalf("a dead node was given up after %v", took)
		}
	}
	startNode(t, Config{Key: key, Listen: listen})
	s, err := client.Open(deadline(t), node.Self())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Reset()
}

// TestBusyConnectionsAreKept looks at the value by which connections are trimmed.
func TestBusyConnectionsAreKept(t *testing.T) {
	node := startNode(t, Config{})
	client := startClient(t, Config{}, node)
	value := func() int {
		if i := client.host.ConnManager().GetTagInfo(node.Self()); i != nil {
			return i.Tags[busyTag]
		}
		return 0
	}
	var streams []protocol.Stream
	for range 3 {
		s, err := client.Open(deadline(t), node.Self())
		if err != nil {
			t.Fatal(err)
		}
		streams = append(streams, s)
	}
	if v := value(); v != 3*busyValue {
		t.Fatalf("three streams count %d", v)
	}
	for _, s := range streams {
		_ = s.Reset()
		_ = s.Reset()
	}
	if v := value(); v != 0 {
		t.Fatalf("no stream counts %d", v)
	}
}
