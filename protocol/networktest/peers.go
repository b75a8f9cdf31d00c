package networktest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// stranger returns the ID of a peer that does not exist.
func stranger(t *testing.T) peer.ID {
	t.Helper()
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	key, err := crypto.UnmarshalEd25519PublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// unreachable: a peer that does not exist, without an address and at another's;
// and the member itself.
func unreachable(t *testing.T, start Start) {
	a, b, _ := start(t)
	nobody := stranger(t)
	if _, err := b.Open(within(t), nobody); !errors.Is(err, protocol.ErrUnreachable) {
		t.Errorf("no address: %v", err)
	}
	b.Learn(peer.AddrInfo{ID: nobody, Addrs: record(t, a).Addrs})
	if _, err := b.Open(within(t), nobody); !errors.Is(err, protocol.ErrUnreachable) {
		t.Errorf("address of another peer: %v", err)
	}
	if _, err := b.Open(within(t), b.Self()); err == nil {
		t.Error("opened a stream to itself")
	}
}

// stopped: a peer that goes away breaks its streams and refuses new ones.
func stopped(t *testing.T, start Start) {
	a, b, _ := start(t)
	near, _ := open(t, b, a)
	a.Stop()
	if _, err := near.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Fatalf("stream to a stopped peer: %v", err)
	}
	until(t, "unreachable after stop", func(ctx context.Context) bool {
		s, err := b.Open(ctx, a.Self())
		if err == nil {
			_ = s.Reset()
			return false
		}
		return errors.Is(err, protocol.ErrUnreachable)
	})
}

func cancelled(t *testing.T, start Start) {
	a, b, _ := start(t)
	a.Serve(echo)
	introduce(t, b, a)
	ctx, cancel := context.WithCancel(within(t))
	cancel()
	if s, err := b.Open(ctx, a.Self()); err == nil {
		_ = s.Reset()
		t.Error("opened under a cancelled context")
	} else if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	for range b.Providers(ctx, protocol.Key{1}) {
		t.Error("found a provider under a cancelled context")
	}
}

// announce: another member finds the announcer by the key alone, and can then
// speak to it. b must find c without having met it.
func announce(t *testing.T, start Start) {
	_, b, c := start(t)
	key := protocol.FindKey(protocol.GroupPrefix{1, 2, 3})
	other := protocol.FindKey(protocol.GroupPrefix{4})
	c.Serve(echo)
	if err := errors.Join(c.Announce(key, other), c.Announce(key)); err != nil {
		t.Fatalf("announce: %v", err)
	}
	until(t, "provider found", func(ctx context.Context) bool { return contains(providers(t, ctx, b, key), c.Self()) })
	until(t, "other key found", func(ctx context.Context) bool { return contains(providers(t, ctx, b, other), c.Self()) })
	if err := talk(within(t), b, c, []byte("found you")); err != nil {
		t.Fatalf("speak to a provider: %v", err)
	}
	if err := errors.Join(c.Withdraw(key), c.Withdraw(key)); err != nil {
		t.Fatalf("withdraw: %v", err)
	}
}

// providers looks a key up, and checks that each provider comes once.
func providers(t *testing.T, ctx context.Context, m Member, key protocol.Key) (ids []peer.ID) {
	for id := range m.Providers(ctx, key) {
		if contains(ids, id) {
			t.Errorf("provider %s twice", id)
		}
		ids = append(ids, id)
	}
	return ids
}

func nobodyAnnounced(t *testing.T, start Start) {
	_, b, _ := start(t)
	ctx := within(t)
	for id := range b.Providers(ctx, protocol.Key{9}) {
		t.Errorf("%s provides what nobody announced", id)
	}
	if ctx.Err() != nil {
		t.Error("a lookup of nothing does not end")
	}
}

// closest: a lookup of any key finds peers that can be spoken to.
func closest(t *testing.T, start Start) {
	a, b, c := start(t)
	c.Serve(echo)
	introduce(t, a, c)
	until(t, "c found by b", func(ctx context.Context) bool {
		ids, err := b.Closest(ctx, protocol.Key{7})
		return err == nil && contains(ids, c.Self())
	})
	if err := talk(within(t), b, c, []byte("nearest")); err != nil {
		t.Fatalf("speak to a peer that a lookup met: %v", err)
	}
}

// envelopes: what a connected peer says of itself is known without asking.
func envelopes(t *testing.T, start Start) {
	a, b, _ := start(t)
	if e := b.EnvelopeOf(stranger(t)); e != nil {
		t.Errorf("envelope of nobody: %d bytes", len(e))
	}
	open(t, b, a)
	want := record(t, a)
	until(t, "envelope of a connected peer", func(context.Context) bool {
		rec, err := b.EnvelopeOf(a.Self()).Open()
		return err == nil && rec.Peer == want.Peer && len(rec.Addrs) == len(want.Addrs)
	})
}
