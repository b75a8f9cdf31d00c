package node

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

const network = "test"

var (
	epoch   = time.Unix(1_900_000_000, 0)
	profile = protocol.Profile{K: 2, R: 4, N: 6}
)

// seeded returns a source of bytes and numbers that a number reproduces.
func seeded(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	var seed [32]byte
	binary.LittleEndian.PutUint64(seed[:], r.Uint64())
	binary.LittleEndian.PutUint64(seed[8:], r.Uint64())
	_, _ = rand.NewChaCha8(seed).Read(b) // never fails
	return b
}

func newKey(r *rand.Rand) ed25519.PrivateKey { return ed25519.NewKeyFromSeed(randomBytes(r, 32)) }

// identity is a peer's key and ID.
type identity struct {
	key crypto.PrivKey
	id  peer.ID
}

func newIdentity(t testing.TB, r *rand.Rand) identity {
	t.Helper()
	key, err := crypto.UnmarshalEd25519PrivateKey(newKey(r))
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return identity{key, id}
}

func (i identity) envelope(t testing.TB, seq uint64, addr string) protocol.Envelope {
	t.Helper()
	e, err := protocol.SealEnvelope(i.key, seq, []multiaddr.Multiaddr{multiaddr.StringCast(addr)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// fakeNet is a network of handlers in this process.
type fakeNet struct {
	identity
	addr string

	mu        sync.Mutex
	peers     map[peer.ID]protocol.Handler
	learned   []peer.ID
	envelopes map[peer.ID]protocol.Envelope // of connected peers
	announced map[protocol.Key]int
	fail      error
}

func newFakeNet(t testing.TB, r *rand.Rand) *fakeNet {
	return &fakeNet{
		identity: newIdentity(t, r), addr: "/ip4/10.0.0.1/tcp/4401",
		peers: make(map[peer.ID]protocol.Handler), announced: make(map[protocol.Key]int),
	}
}

func (f *fakeNet) Self() peer.ID { return f.id }
func (f *fakeNet) Envelope() (protocol.Envelope, error) {
	return protocol.SealEnvelope(f.key, 9, []multiaddr.Multiaddr{multiaddr.StringCast(f.addr)})
}
func (f *fakeNet) EnvelopeOf(id peer.ID) protocol.Envelope { return f.envelopes[id] }
func (f *fakeNet) Open(_ context.Context, to peer.ID) (protocol.Stream, error) {
	f.mu.Lock()
	h := f.peers[to]
	f.mu.Unlock()
	if h == nil {
		return nil, protocol.ErrUnreachable
	}
	a, b := net.Pipe()
	go func() { _ = protocol.Serve(context.Background(), pipeStream{b, f.id}, h) }()
	return pipeStream{a, to}, nil
}
func (f *fakeNet) Learn(p peer.AddrInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.learned = append(f.learned, p.ID)
}
func (f *fakeNet) Known() []peer.ID {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []peer.ID
	for id := range f.peers {
		out = append(out, id)
	}
	return out
}
func (f *fakeNet) RemoteAddr(peer.ID) (multiaddr.Multiaddr, bool, bool)     { return nil, false, false }
func (f *fakeNet) Closest(context.Context, protocol.Key) ([]peer.ID, error) { return nil, nil }
func (f *fakeNet) Providers(context.Context, protocol.Key) iter.Seq[peer.ID] {
	return func(func(peer.ID) bool) {}
}
func (f *fakeNet) Announce(keys ...protocol.Key) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range keys {
		if f.fail != nil {
			return f.fail
		}
		f.announced[k]++
	}
	return nil
}
func (f *fakeNet) Withdraw(keys ...protocol.Key) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, k := range keys {
		delete(f.announced, k)
	}
	return nil
}

type pipeStream struct {
	net.Conn
	remote peer.ID
}

func (p pipeStream) Reset() error            { return p.Close() }
func (p pipeStream) Remote() protocol.Remote { return at(p.remote, "") }

// at is a remote peer at an address; "" is a private one.
func at(id peer.ID, addr string) protocol.Remote {
	if addr == "" {
		addr = "/ip4/10.0.0.7/tcp/1"
	}
	return protocol.Remote{Peer: id, Addr: multiaddr.StringCast(addr)}
}

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) step(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// world is a node with its surroundings.
type world struct {
	t     testing.TB
	r     *rand.Rand
	net   *fakeNet
	store *faultyStore
	clock *clock
	node  *Node
	cfg   Config
}

// faultyStore fails on demand.
type faultyStore struct {
	storage.Store
	mu   sync.Mutex
	fail error
}

func (s *faultyStore) failing() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail
}

func (s *faultyStore) setFail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

func (s *faultyStore) PutShard(ctx context.Context, v *storage.Shard) error {
	if err := s.failing(); err != nil {
		return err
	}
	return s.Store.PutShard(ctx, v)
}

func (s *faultyStore) PutFact(ctx context.Context, f ...storage.Fact) error {
	if err := s.failing(); err != nil {
		return err
	}
	return s.Store.PutFact(ctx, f...)
}

func newWorld(t testing.TB, seed uint64, change func(*Config)) *world {
	t.Helper()
	r := seeded(t, seed)
	w := &world{t: t, r: r, net: newFakeNet(t, r), clock: &clock{t: epoch}}
	w.store = &faultyStore{Store: storage.NewMemory(storage.Config{Quota: 1 << 30})}
	w.cfg = Config{
		Network: network, Agent: "cairn/test", Net: w.net, Store: w.store, Donated: 1 << 30,
		Now: w.clock.now, Rand: rand.New(rand.NewPCG(seed, 1)),
	}
	if change != nil {
		change(&w.cfg)
	}
	w.restart()
	return w
}

// restart makes a new node over the same store.
func (w *world) restart() {
	w.t.Helper()
	n, err := New(w.cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	w.node = n
}

// factsHeld returns the names of a group's facts in the store, without notes.
func (w *world) factsHeld(g protocol.GroupID) []protocol.Hash {
	w.t.Helper()
	var out []protocol.Hash
	for f, err := range w.store.Facts(w.t.Context(), g) {
		if err != nil {
			w.t.Fatal(err)
		}
		if !note.Is(f.Kind) {
			out = append(out, f.ID())
		}
	}
	slices.SortFunc(out, protocol.CompareIDs)
	return out
}

// wantCode fails unless err carries a code; 0 wants no error.
func wantCode(t testing.TB, what string, err error, code protocol.Code) {
	t.Helper()
	switch {
	case code == 0 && err == nil:
	case code == 0:
		t.Errorf("%s: %v", what, err)
	case err == nil:
		t.Errorf("%s: no refusal, want %v", what, code)
	case protocol.CodeOf(err) != code:
		t.Errorf("%s: %v, want %v", what, err, code)
	}
}

// brokenReader ends too early.
type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

var errDisk = errors.New("disk on fire")

// idFor is a peer ID numbered i.
func idFor(i int) peer.ID {
	h := protocol.Sum(fmt.Append(nil, i))
	return peer.ID(append([]byte{0, 36, 8, 1, 18, 32}, h[:]...))
}

// newRegister returns what a node with slot 0 knows of a group of a profile, the
// others of which are idFor(1) and so on.
func newRegister(p protocol.Profile) (*neighbours.Register, protocol.GroupID) {
	t := DefaultTiming()
	h := neighbours.New(idFor(0), &t.Liveness, &t.Audit, func() time.Time { return epoch }, func() time.Duration { return 0 })
	table := &protocol.Table{Profile: p, Slots: make([][]byte, p.N)}
	for slot := range table.Slots {
		table.Slots[slot] = []byte(idFor(slot))
	}
	id := protocol.GroupID(protocol.Sum([]byte("group")))
	h.Open(id, table, 0, new(neighbours.Survey))
	h.Resume(func() float64 { return 0.5 })
	return h, id
}
