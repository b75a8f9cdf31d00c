package client

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
)

// world is a file on the holders of one group, and a reader who has its link.
type world struct {
	t       testing.TB
	rng     *rand.Rand
	net     *testNet
	profile protocol.Profile
	holders []*holder // by slot
	owner   ed25519.PrivateKey
	pointer ed25519.PrivateKey
	group   protocol.GroupID
	read    protocol.Secret
	content []byte
	extents []protocol.Extent
	target  protocol.Target
	link    protocol.Link
	client  *Client
}

type rngReader struct{ *rand.Rand }

func (r rngReader) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r.Uint32())
	}
	return len(p), nil
}

// newWorld stores size bytes in segments of per bytes each (0: full ones).
func newWorld(t testing.TB, seed uint64, p protocol.Profile, size, per int64) *world {
	t.Helper()
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), net: newTestNet(t, seed), profile: p}
	if f, ok := t.(interface{ Failed() bool }); ok {
		t.Cleanup(func() {
			if f.Failed() {
				t.Logf("seed %d", seed)
			}
		})
	}
	w.found()
	w.content = make([]byte, size)
	cc := rand.NewChaCha8([32]byte{byte(seed)})
	_, _ = cc.Read(w.content)
	w.extents = w.store(w.content, per)
	w.finish(&protocol.Manifest{Name: "a file", Size: size, Extents: w.extents})
	w.client = w.newClient()
	return w
}

// lockedReader is a source of randomness for many goroutines.
type lockedReader struct {
	mu sync.Mutex
	r  io.Reader
}

func (l *lockedReader) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Read(p)
}

func (w *world) newClient() *Client {
	random := &lockedReader{r: rngReader{rand.New(rand.NewPCG(w.rng.Uint64(), 2))}}
	c := New(Config{Network: "test", Net: w.net, Rand: random, Log: slog.New(slog.DiscardHandler)})
	w.t.Cleanup(c.Close)
	return c
}

// found makes the holders and their group.
func (w *world) found() {
	w.owner = w.key()
	rec := protocol.NewGroupRecord("test", protocol.PublicKeyOf(w.owner), protocol.PublicKeyOf(w.key()), protocol.Hash{}, protocol.Nonce{1})
	record, id := rec.Encode()
	w.group = id
	ids := make([]peer.ID, w.profile.N)
	envs := make([][]byte, w.profile.N)
	for i := range ids {
		h := w.newHolder(i)
		w.holders = append(w.holders, h)
		ids[i] = h.id
		env, err := protocol.SealEnvelope(h.key, 1, []multiaddr.Multiaddr{h.addr})
		if err != nil {
			w.t.Fatal(err)
		}
		envs[i] = env
	}
	table := protocol.SignTable(w.owner, "test", id, w.profile, ids)
	for _, h := range w.holders {
		h.record, h.table, h.group, h.envs = record, table, id, envs
	}
}

func (w *world) key() ed25519.PrivateKey {
	var seed [32]byte
	_, _ = rngReader{w.rng}.Read(seed[:])
	return ed25519.NewKeyFromSeed(seed[:])
}

func (w *world) newHolder(i int) *holder {
	h := &holder{
		net: w.net, shards: make(map[protocol.SegmentID]*heldShard), pointers: make(map[protocol.PointerID][]byte),
		addr: multiaddr.StringCast(fmt.Sprintf("/ip4/10.0.%d.%d/tcp/4401", i/200, 1+i%200)),
		info: protocol.InfoReply{Network: "test", Version: 1, Donated: 1 << 40, Free: 1 << 39, Accepts: protocol.AcceptsOpen},
	}
	h.id, h.key = testPeer(w.rng)
	w.net.holders[h.id] = h
	return h
}

// store seals and codes plain into segments and hands the shards out.
func (w *world) store(plain []byte, per int64) []protocol.Extent {
	w.t.Helper()
	b, err := newBuilder(w.profile, rngReader{w.rng})
	if err != nil {
		w.t.Fatal(err)
	}
	if per == 0 {
		per = int64(len(plain)) + 1
	}
	var out []protocol.Extent
	for src := bytes.NewReader(plain); src.Len() > 0; {
		buf := newSegmentBuffer(w.profile)
		s, err := b.build(w.t.Context(), io.LimitReader(src, per), buf)
		if err != nil {
			w.t.Fatal(err)
		}
		w.give(s)
		out = append(out, s.extent(w.group))
	}
	return out
}

func (w *world) give(s *segment) {
	for slot, data := range s.shards {
		outboard, root := protocol.Outboard(data)
		if root != s.desc.Roots[slot] {
			w.t.Fatal("the builder's root is not the shard's")
		}
		h := w.holders[slot]
		h.edit(func() {
			h.shards[s.id] = &heldShard{slot: slot, desc: s.bytes, data: bytes.Clone(data), outboard: outboard}
		})
	}
}

// finish stores the manifest and publishes the link.
func (w *world) finish(m *protocol.Manifest) {
	w.t.Helper()
	b, err := m.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.target = protocol.Target{Extent: w.store(b, 0)[0]}
	_, _ = rngReader{w.rng}.Read(w.read[:])
	w.pointer = w.key()
	w.link = protocol.Link{Pointer: protocol.PointerIDOf(protocol.PublicKeyOf(w.pointer)), Home: w.group.Prefix(), Read: w.read}
	w.publish(1, time.Time{}, w.profile.N)
}

// publish gives a record of the pointer to the first some of the holders.
func (w *world) publish(seq int64, until time.Time, some int) {
	w.t.Helper()
	plain, err := w.target.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	salt, payload, err := seal.SealPayload(rngReader{w.rng}, seal.Key(w.read), (*[seal.PayloadPlain]byte)(plain))
	if err != nil {
		w.t.Fatal(err)
	}
	w.publishPayload(seq, salt, payload, until, some)
}

func (w *world) publishPayload(seq int64, salt [32]byte, payload []byte, until time.Time, some int) {
	rec := protocol.SignPointer(w.pointer, "test", seq, salt, payload, until)
	for _, h := range w.holders[:some] {
		h.edit(func() { h.pointers[w.link.Pointer] = rec })
	}
}

// announce makes the DHT name the holders.
func (w *world) announce() {
	for _, h := range w.holders {
		w.net.providers = append(w.net.providers, h.id)
	}
}

// hint puts some members' addresses in the link.
func (w *world) hint(slots ...int) {
	for _, s := range slots {
		h := w.holders[s]
		w.link.Hints = append(w.link.Hints, multiaddr.StringCast(h.addr.String()+"/p2p/"+h.id.String()))
	}
}

// spoil gives some random holders a random bad mood, and returns which.
func (w *world) spoil(count int, moods ...mood) map[int]mood {
	out := make(map[int]mood)
	for _, slot := range w.rng.Perm(len(w.holders))[:count] {
		out[slot] = moods[w.rng.IntN(len(moods))]
		w.holders[slot].set(out[slot])
	}
	return out
}

func (w *world) resetGets() {
	for _, h := range w.holders {
		h.mu.Lock()
		h.gets = 0
		h.mu.Unlock()
	}
}

// touched returns how many holders were asked for bytes since resetGets.
func (w *world) touched() (n int) {
	for _, h := range w.holders {
		h.mu.Lock()
		if h.gets > 0 {
			n++
		}
		h.mu.Unlock()
	}
	return n
}
