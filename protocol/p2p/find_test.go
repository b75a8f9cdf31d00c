package p2p

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"
)

func TestAnnouncedAlone(t *testing.T) {
	first := startNode(t, Config{})
	key := testKey(t)
	if err := first.Announce(key); err != nil {
		t.Fatal(err)
	}
	second := startNode(t, Config{}, first)
	third := startNode(t, Config{}, first)
	eventually(t, "the record reaches the others", func() bool {
		return recorded(second, key, first.Self()) && recorded(third, key, first.Self())
	})
	client := startClient(t, Config{}, third)
	eventually(t, "a client finds it", func() bool { return findsProvider(deadline(t), client, key, first.Self()) })
}

// recorded reports whether a server holds a provider record.
func recorded(h *Host, key [32]byte, of peer.ID) bool {
	found, _ := h.dht.ProviderStore().GetProviders(context.Background(), hashOf(key))
	for _, p := range found {
		if p.ID == of {
			return true
		}
	}
	return false
}

// TestAnnouncedAgain has the only peer that was told forget everything.
func TestAnnouncedAgain(t *testing.T) {
	key := newKey(t)
	other := startNode(t, Config{Key: key})
	member := startNode(t, Config{}, other)
	group := testKey(t)
	if err := member.Announce(group); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the record arrives", func() bool { return recorded(other, group, member.Self()) })
	listen := other.ownAddrs()
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	other = startNode(t, Config{Key: key, Listen: listen})
	client := startClient(t, Config{}, member)
	if !findsProvider(deadline(t), client, group, member.Self()) {
		t.Fatal("the member does not tell of its own keys")
	}
}

func TestWithdraw(t *testing.T) {
	node := startNode(t, Config{})
	keep, drop := testKey(t), testKey(t)
	for range 2 {
		if err := node.Announce(keep, drop); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.Withdraw(drop, testKey(t)); err != nil {
		t.Fatal(err)
	}
	second := startNode(t, Config{}, node)
	eventually(t, "the record kept reaches the other", func() bool { return recorded(second, keep, node.Self()) })
	if recorded(second, drop, node.Self()) {
		t.Fatal("a key withdrawn was announced")
	}
}

// TestForgedProviders has a thousand liars announce a key before its one holder.
// A node keeps a bounded number of them; the holder tells of itself when asked.
func TestForgedProviders(t *testing.T) {
	const liars = 1000
	first := startNode(t, Config{})
	member := startNode(t, Config{}, first)
	key := testKey(t)
	nowhere := []multiaddr.Multiaddr{mustAddr(t, "/ip4/127.0.0.1/tcp/1")}
	for range liars {
		lie := peer.AddrInfo{ID: newPeerID(t), Addrs: nowhere}
		for _, h := range []*Host{first, member} {
			h.records.provide(hashOf(key), lie.ID, origin{})
			h.host.Peerstore().AddAddrs(lie.ID, lie.Addrs, hintTTL)
		}
	}
	if err := member.Announce(key); err != nil {
		t.Fatal(err)
	}
	client := startClient(t, Config{}, first)
	seen := make(map[peer.ID]int)
	for p := range client.Providers(deadline(t), key) {
		seen[p]++
	}
	if len(seen) != maxKeyClaims+1 || seen[member.Self()] != 1 {
		t.Fatalf("%d providers found of %d kept, the true one %d times", len(seen), maxKeyClaims, seen[member.Self()])
	}
}

func TestProvidersCanBeLeft(t *testing.T) {
	first := startNode(t, Config{})
	key := testKey(t)
	for range 20 {
		lie := peer.AddrInfo{ID: newPeerID(t)}
		if err := first.dht.ProviderStore().AddProvider(t.Context(), hashOf(key), lie); err != nil {
			t.Fatal(err)
		}
	}
	client := startClient(t, Config{}, first)
	for range client.Providers(deadline(t), key) {
		break // goleak would see what stays behind
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range client.Providers(ctx, key) {
		t.Fatal("a lookup under a dead context found somebody")
	}
}

func TestAlone(t *testing.T) {
	h := startNode(t, Config{})
	if err := h.Wait(deadline(t)); err != ErrAlone {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for range h.Providers(ctx, testKey(t)) {
		t.Fatal("found a provider alone")
	}
	if err := h.Announce(testKey(t)); err != nil {
		t.Fatal(err)
	}
	if n := h.Peers(); n != 0 {
		t.Fatalf("%d peers", n)
	}
}

// TestNothingToAnnounce checks that a client that announces nothing does not
// measure the network, and that Withdraw and Close work without an Announce
// before.
func TestNothingToAnnounce(t *testing.T) {
	client := startClient(t, Config{}, startNode(t, Config{}))
	if err := client.Withdraw(testKey(t)); err != nil {
		t.Fatal(err)
	}
	if err := client.announcer.again(); err != nil {
		t.Fatal(err)
	}
	if client.announcer.provider != nil {
		t.Error("an announcer runs without anything to announce")
	}
	if err := client.Announce(testKey(t)); err != nil {
		t.Fatal(err)
	}
	if client.announcer.provider == nil {
		t.Error("no announcer runs for a key")
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := client.announcer.tell([]multihash.Multihash{hashOf(testKey(t))}); !errors.Is(err, errClosed) {
		t.Errorf("announced after the end: %v", err)
	}
}
