package p2p

import (
	"context"
	"crypto/rand"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"go.uber.org/goleak"

	"github.com/cairnstore/cairn/protocol"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const testNetwork = "test"

// deadline bounds everything that a test waits for.
func deadline(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func mustAddr(t testing.TB, s string) multiaddr.Multiaddr {
	t.Helper()
	a, err := multiaddr.NewMultiaddr(s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func newKey(t testing.TB) crypto.PrivKey {
	t.Helper()
	k, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newPeerID(t testing.TB) peer.ID {
	t.Helper()
	id, err := peer.IDFromPrivateKey(newKey(t))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func start(t testing.TB, cfg Config) *Host {
	t.Helper()
	if cfg.Network == "" {
		cfg.Network = testNetwork
	}
	h, err := New(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// startNode starts a server on loopback that answers streams with what they
// send.
func startNode(t testing.TB, cfg Config, known ...*Host) *Host {
	t.Helper()
	cfg.Server = true
	if cfg.Listen == nil {
		cfg.Listen = []multiaddr.Multiaddr{
			mustAddr(t, "/ip4/127.0.0.1/tcp/0"), mustAddr(t, "/ip4/127.0.0.1/udp/0/quic-v1"),
		}
	}
	cfg.Bootstrap = append(cfg.Bootstrap, infos(known...)...)
	h := start(t, cfg)
	h.Serve(echo)
	return h
}

func startClient(t testing.TB, cfg Config, known ...*Host) *Host {
	t.Helper()
	cfg.Bootstrap = append(cfg.Bootstrap, infos(known...)...)
	h := start(t, cfg)
	if err := h.Wait(deadline(t)); err != nil {
		t.Fatal(err)
	}
	return h
}

func infos(hosts ...*Host) []peer.AddrInfo {
	var out []peer.AddrInfo
	for _, h := range hosts {
		out = append(out, peer.AddrInfo{ID: h.Self(), Addrs: h.ownAddrs()})
	}
	return out
}

// eventually polls a condition.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx := deadline(t)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("never: ", what)
		}
	}
}

func findsProvider(ctx context.Context, h *Host, key protocol.Key, want peer.ID) bool {
	for p := range h.Providers(ctx, key) {
		if p == want {
			return true
		}
	}
	return false
}

func testKey(t testing.TB) (k protocol.Key) {
	t.Helper()
	if _, err := rand.Read(k[:]); err != nil {
		t.Fatal(err)
	}
	return k
}

func TestBootstrapAndFindThroughDHT(t *testing.T) {
	first := startNode(t, Config{})
	nodes := []*Host{first}
	for range 3 {
		nodes = append(nodes, startNode(t, Config{}, first))
	}
	for _, n := range nodes[1:] {
		if err := n.Wait(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}
	key, member := testKey(t), nodes[3]
	if err := member.Announce(key); err != nil {
		t.Fatal(err)
	}
	client := startClient(t, Config{}, nodes[1])
	eventually(t, "the client finds the member", func() bool { return findsProvider(deadline(t), client, key, member.Self()) })
	if _, err := client.Open(deadline(t), member.Self()); err != nil {
		t.Fatal("what was found cannot be dialled: ", err)
	}
	found, err := client.Closest(deadline(t), testKey(t))
	if err != nil || len(found) != len(nodes) {
		t.Fatalf("closest: %d of %d nodes, %v", len(found), len(nodes), err)
	}
}
