package p2p

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/cairnstore/cairn/protocol"
)

// silentAddr is where connections are taken and nothing is ever said.
func silentAddr(t *testing.T) multiaddr.Multiaddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	a, err := manet.FromNetAddr(l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// TestMoved opens streams to a node when the client knows only an address at which
// nobody listens any more, or at which nobody answers.
func TestMoved(t *testing.T) {
	for name, old := range map[string]func(*testing.T) multiaddr.Multiaddr{
		"refused": func(t *testing.T) multiaddr.Multiaddr { return mustAddr(t, "/ip4/127.0.0.1/tcp/1") },
		"silent":  silentAddr,
	} {
		t.Run(name, func(t *testing.T) {
			first := startNode(t, Config{})
			moved := startNode(t, Config{}, first)
			if err := moved.Wait(deadline(t)); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the first node knows it", func() bool { return first.dht.RoutingTable().Find(moved.Self()) != "" })
			client := startClient(t, Config{}, first)
			client.Learn(peer.AddrInfo{ID: moved.Self(), Addrs: []multiaddr.Multiaddr{old(t)}})
			s, err := client.Open(deadline(t), moved.Self())
			if err != nil {
				t.Fatal(err)
			}
			_ = s.Reset()
		})
	}
}

// TestGoneIsSoughtOnce checks that a peer that is gone costs one lookup, and that
// where there is no other peer, Open fails as fast as before.
func TestGoneIsSoughtOnce(t *testing.T) {
	client := startClient(t, Config{}, startNode(t, Config{}))
	gone := peer.AddrInfo{ID: newPeerID(t), Addrs: []multiaddr.Multiaddr{mustAddr(t, "/ip4/127.0.0.1/tcp/1")}}
	client.Learn(gone)
	for range 2 {
		if s, err := client.Open(deadline(t), gone.ID); !errors.Is(err, protocol.ErrUnreachable) {
			t.Fatalf("opened %v, %v", s, err)
		}
	}
	if client.moved.claim(gone.ID, time.Now()) {
		t.Error("sought at every call")
	}
	if !client.moved.claim(gone.ID, time.Now().Add(movedAgain)) {
		t.Error("never sought again")
	}
}
