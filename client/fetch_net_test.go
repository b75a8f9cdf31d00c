package client

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"iter"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// testNet is a network of holders as one reader sees it. Times are those of
// the synctest bubble.
type testNet struct {
	self    peer.ID
	latency time.Duration

	mu        sync.Mutex
	holders   map[peer.ID]*holder
	learned   map[peer.ID]bool
	spoken    map[peer.ID]bool
	known     []peer.ID // from the start
	providers []peer.ID
	nearest   []peer.ID
	silentDHT bool
	lookups   atomic.Int64                      // of providers
	seenAs    func(*holder) multiaddr.Multiaddr // nil: where it is
	opened    map[peer.ID]int                   // streams
	ctx       context.Context
}

func newTestNet(t testing.TB, seed uint64) *testNet {
	id, _ := testPeer(rand.New(rand.NewPCG(seed, 99)))
	n := &testNet{
		self: id, holders: make(map[peer.ID]*holder), learned: make(map[peer.ID]bool),
		spoken: make(map[peer.ID]bool), opened: make(map[peer.ID]int),
	}
	ctx, cancel := context.WithCancel(context.Background())
	n.ctx = ctx
	t.Cleanup(cancel)
	return n
}

func testPeer(rng *rand.Rand) (peer.ID, crypto.PrivKey) {
	var seed [ed25519.SeedSize]byte
	for i := range seed {
		seed[i] = byte(rng.Uint32())
	}
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		panic(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return id, key
}

func (n *testNet) Self() peer.ID                        { return n.self }
func (n *testNet) Envelope() (protocol.Envelope, error) { return nil, protocol.ErrNotFound }
func (n *testNet) Announce(...protocol.Key) error       { return nil }
func (n *testNet) Withdraw(...protocol.Key) error       { return nil }

func (n *testNet) Learn(i peer.AddrInfo) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.holders[i.ID]; h != nil && len(i.Addrs) > 0 && i.Addrs[0].Equal(h.addr) {
		n.learned[i.ID] = true
	}
}

func (n *testNet) EnvelopeOf(peer.ID) protocol.Envelope { return nil }

func (n *testNet) Known() []peer.ID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]peer.ID(nil), n.known...)
}

func (n *testNet) RemoteAddr(id peer.ID) (multiaddr.Multiaddr, bool, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if h := n.holders[id]; h != nil && n.spoken[id] {
		if n.seenAs != nil {
			return n.seenAs(h), false, true
		}
		return h.addr, false, true
	}
	return nil, false, false
}

func (n *testNet) Closest(ctx context.Context, _ protocol.Key) ([]peer.ID, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, id := range n.nearest {
		n.learned[id] = true
	}
	return n.nearest, ctx.Err()
}

func (n *testNet) Providers(ctx context.Context, _ protocol.Key) iter.Seq[peer.ID] {
	return func(yield func(peer.ID) bool) {
		n.lookups.Add(1)
		if n.silentDHT {
			<-ctx.Done()
			return
		}
		for _, id := range n.providers {
			n.mu.Lock()
			n.learned[id] = true
			n.mu.Unlock()
			if ctx.Err() != nil || !yield(id) {
				return
			}
		}
	}
}

func (n *testNet) Open(ctx context.Context, to peer.ID) (protocol.Stream, error) {
	n.mu.Lock()
	h, reach := n.holders[to], n.learned[to]
	for _, id := range n.known {
		reach = reach || id == to
	}
	n.opened[to]++
	n.mu.Unlock()
	if !protocol.Sleep(ctx, n.latency) {
		return nil, context.Cause(ctx)
	}
	if h == nil || !reach || h.is(dead) {
		return nil, fmt.Errorf("dial: %w", protocol.ErrUnreachable)
	}
	n.mu.Lock()
	n.spoken[to] = true
	n.mu.Unlock()
	near, far := net.Pipe()
	stop := context.AfterFunc(n.ctx, func() { _ = near.Close(); _ = far.Close() })
	if !h.is(frozen) { // a frozen one never reads
		go func() {
			defer stop()
			_ = protocol.Serve(n.ctx, &testStream{far, n.self}, h)
		}()
	}
	return &testStream{near, to}, nil
}

type testStream struct {
	net.Conn
	remote peer.ID
}

func (s *testStream) Reset() error { return s.Close() }
func (s *testStream) Remote() protocol.Remote {
	return protocol.Remote{Peer: s.remote}
}
