package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	mathrand "math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"

	cairnnode "github.com/cairnstore/cairn/node"
)

// world is a whole network in memory: the real nodes and clients, over memnet,
// in virtual time.
type world struct {
	t     *testing.T
	ctx   context.Context
	net   *memnet.Net
	boot  []peer.AddrInfo
	nodes []*member
	log   *slog.Logger

	running sync.WaitGroup
}

type member struct {
	*memnet.Peer
	node  *cairnnode.Node
	store *storage.Memory
}

const worldNetwork = "test"

// newWorld starts count nodes and lets them get to know each other. It must be
// called inside a synctest bubble; close lets the bubble end.
func newWorld(t *testing.T, count int, cfg memnet.Config) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{t: t, ctx: ctx, net: memnet.New(cfg), log: slog.New(slog.DiscardHandler)}
	if testing.Verbose() {
		w.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	t.Cleanup(func() {
		cancel()
		w.running.Wait()
		if err := w.net.Close(); err != nil {
			t.Error(err)
		}
	})
	w.grow(count)
	return w
}

// grow adds nodes until there are count, and lets gossip go round.
func (w *world) grow(count int) {
	w.t.Helper()
	for len(w.nodes) < count {
		m := w.addNode()
		w.running.Go(func() { _ = m.node.Run(w.ctx) })
	}
	time.Sleep(time.Minute) // virtual
}

func (w *world) addNode() *member {
	w.t.Helper()
	p := w.net.Peer(memnet.PeerConfig{Server: true, Bootstrap: w.boot})
	store := storage.NewMemory(storage.Config{Quota: 1 << 30})
	n, err := cairnnode.New(cairnnode.Config{
		Network: worldNetwork, Agent: "test", Net: p, Store: store, Donated: 1 << 30, Log: w.log.With("node", protocol.ShortPeer(p.Self())),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	p.Serve(n.Serve)
	if len(w.boot) < 3 {
		w.boot = append(w.boot, p.AddrInfo())
	}
	m := &member{p, n, store}
	w.nodes = append(w.nodes, m)
	return m
}

// client returns a client that knows the bootstrap peers only; with an owner's
// home in a folder of its own, if it is to put.
func (w *world) client(owns bool) *client.Client {
	w.t.Helper()
	cfg := client.Config{
		Network: worldNetwork, Log: w.log.With("client", owns),
		Net: w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.boot}),
	}
	if owns {
		o, err := client.OpenOwner(w.t.TempDir(), w.log)
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { _ = o.Close() })
		cfg.Owner = o
	}
	c := client.New(cfg)
	w.t.Cleanup(c.Close)
	return c
}

func (w *world) member(id peer.ID) *member {
	for _, m := range w.nodes {
		if m.Self() == id {
			return m
		}
	}
	return nil
}

func randomBytes(n int64) []byte {
	b := make([]byte, n)
	_, _ = mathrand.NewChaCha8(sha256.Sum256(fmt.Append(nil, n))).Read(b)
	return b
}

func put(w *world, c *client.Client, b []byte, opt client.PutOptions) *client.PutResult {
	w.t.Helper()
	if opt.Wait == 0 {
		opt.Wait = time.Minute
	}
	res, err := c.Put(w.ctx, client.Source{Reader: bytes.NewReader(b), Name: "a file", Size: int64(len(b)), MTime: time.Now()}, opt)
	if err != nil {
		w.t.Fatal(err)
	}
	return res
}

func get(w *world, l protocol.Link) ([]byte, error) {
	w.t.Helper()
	f, err := w.client(false).Open(w.ctx, l)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = f.WriteTo(w.ctx, &out, nil)
	return out.Bytes(), err
}

// Sizes around every boundary come back through a client that never met the
// uploader.
func TestSizesInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 10, memnet.Config{Latency: 10 * time.Millisecond})
		c := w.client(true)
		for _, size := range []int64{0, 1, 16 << 10, 16<<10 + 1, 256<<10 - 1, 256 << 10, 256<<10 + 1, 1 << 20, 8 << 20, 8<<20 + 1, 17 << 20} {
			b := randomBytes(size)
			res := put(w, c, b, client.PutOptions{})
			if res.Profile != (protocol.Profile{K: 2, R: 4, N: 6}) || res.Stored != 6 || res.Size != size {
				t.Fatalf("%d bytes: %+v", size, res)
			}
			got, err := get(w, res.Link)
			if err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%d bytes: got %d, %v", size, len(got), err)
			}
		}
	})
}

// With n−k holders of a full group gone, in any mix of ways, the file comes
// back; with one more, it is an error that says so.
func TestLossInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := mathrand.Uint64()
		rng := mathrand.New(mathrand.NewPCG(seed, 1))
		w := newWorld(t, 16, memnet.Config{Latency: 10 * time.Millisecond, Seed: seed})
		b := randomBytes(20 << 20)
		res := put(w, w.client(true), b, client.PutOptions{})
		if res.Profile != (protocol.Profile{K: 4, R: 9, N: 14}) || res.Stored != 14 {
			t.Fatalf("put: %+v", res)
		}
		h, err := w.client(false).Health(w.ctx, res.Link)
		if err != nil {
			t.Fatal(err)
		}
		var holders []*member
		for _, i := range rng.Perm(len(h.Holders)) {
			// One node that a newcomer knows must be left.
			if m := w.member(h.Holders[i].Peer); m != nil && m != w.nodes[0] {
				holders = append(holders, m)
			}
		}
		for i, m := range holders[:10] {
			if i%2 == 0 {
				m.Stop()
			} else {
				m.Freeze()
			}
		}
		begun := time.Now()
		got, err := get(w, res.Link)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("seed %d: with 10 of 14 gone: %d bytes, %v", seed, len(got), err)
		}
		t.Logf("10 of 14 gone: whole file after %v", time.Since(begun))
		holders[10].Stop()
		if _, err = get(w, res.Link); !errors.Is(err, client.ErrTooFew) {
			t.Fatalf("seed %d: with 11 of 14 gone: %v", seed, err)
		}
	})
}

// A put goes on while holders die, and another group takes what cannot become
// safe in the first.
func TestPutThroughDeaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20, memnet.Config{Latency: 5 * time.Millisecond, Rate: 20 << 20})
		b := randomBytes(100 << 20)
		killed := 0
		src := &hookReader{r: bytes.NewReader(b), every: 30 << 20, hook: func() {
			for range 2 {
				w.nodes[5+killed].Freeze()
				killed++
			}
		}}
		c := w.client(true)
		res, err := c.Put(w.ctx, client.Source{Reader: src, Name: "x", Size: -1}, client.PutOptions{Wait: 10 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("stored %d of %s in %d segments with %d nodes frozen meanwhile", res.Stored, res.Profile, res.Segments, killed)
		got, err := get(w, res.Link)
		if err != nil || !bytes.Equal(got, b) {
			t.Fatalf("got %d bytes, %v", len(got), err)
		}
	})
}

type hookReader struct {
	r     io.Reader
	n     int
	every int
	hook  func()
}

func (h *hookReader) Read(b []byte) (int, error) {
	n, err := h.r.Read(b)
	if (h.n+n)/h.every > h.n/h.every {
		h.hook()
	}
	h.n += n
	return n, err
}

// Each put uses the highest profile that the network allows at the time, says so,
// and goes on with an older group only if its profile is not lower.
func TestGrowingNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memnet.Config{Latency: 5 * time.Millisecond})
		c := w.client(true)
		for _, step := range []struct {
			nodes   int
			profile protocol.Profile
			notSafe bool
		}{
			{1, protocol.Profile{K: 1, R: 1, N: 1}, true},
			{2, protocol.Profile{K: 1, R: 1, N: 2}, true},
			{3, protocol.Profile{K: 1, R: 2, N: 3}, false},
			{3, protocol.Profile{K: 1, R: 2, N: 3}, false},
			{8, protocol.Profile{K: 2, R: 4, N: 6}, false},
			{20, protocol.Profile{K: 4, R: 9, N: 14}, false},
		} {
			w.grow(step.nodes)
			b := randomBytes(300 << 10)
			res := put(w, c, b, client.PutOptions{})
			if res.Profile != step.profile || res.NotSafe != step.notSafe || res.Stored != step.profile.N || !res.Private {
				t.Fatalf("%d nodes: %+v", step.nodes, res)
			}
			if got, err := get(w, res.Link); err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%d nodes: %v", step.nodes, err)
			}
		}
	})
}

// A link with hints works while the DHT is silent; one whose hints are all
// wrong works by the DHT, a thousand forged providers or not.
func TestHintsAndTheDHT(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 20, memnet.Config{Latency: 10 * time.Millisecond})
		b := randomBytes(5 << 20)
		res := put(w, w.client(true), b, client.PutOptions{Hints: true})
		if len(res.Link.Hints) == 0 {
			t.Fatal("a link with hints has none")
		}
		check := func(name string, l protocol.Link) {
			t.Helper()
			begun := time.Now()
			got, err := get(w, l)
			if err != nil || !bytes.Equal(got, b) {
				t.Fatalf("%s: %d bytes, %v", name, len(got), err)
			}
			if took := time.Since(begun); took > 15*time.Second {
				t.Errorf("%s: took %v", name, took)
			}
		}
		check("all well", res.Link)

		w.net.SilenceDHT(true)
		check("silent DHT, hints", res.Link)
		w.net.SilenceDHT(false)

		bare := res.Link
		bare.Hints = nil
		check("no hints", bare)

		wrong := res.Link
		wrong.Hints = nil
		for range 4 {
			stranger := w.net.Peer(memnet.PeerConfig{})
			addrs, err := peer.AddrInfoToP2pAddrs(new(stranger.AddrInfo()))
			if err != nil {
				t.Fatal(err)
			}
			stranger.Freeze()
			wrong.Hints = append(wrong.Hints, addrs[0])
		}
		check("wrong hints", wrong)

		forged := make([]peer.ID, 1000)
		for i := range forged {
			p := w.net.Peer(memnet.PeerConfig{})
			if i%2 == 0 {
				p.Freeze()
			} else {
				p.Stop()
			}
			forged[i] = p.Self()
		}
		w.net.Forge(protocol.FindKey(bare.Home), forged...)
		check("a thousand forged providers", bare)
	})
}

// A full network says so before it takes a byte.
func TestFullNetwork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, memnet.Config{})
		src := &hookReader{r: bytes.NewReader(nil), every: 1, hook: func() { t.Error("the source was read") }}
		_, err := w.client(true).Put(w.ctx, client.Source{Reader: src, Name: "x", Size: 50 << 30}, client.PutOptions{})
		if !errors.Is(err, client.ErrNetworkFull) {
			t.Fatal(err)
		}
	})
}

// A client that has nobody to ask says so soon.
func TestNobodyThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 3, memnet.Config{})
		res := put(w, w.client(true), []byte("x"), client.PutOptions{})
		for _, m := range w.nodes {
			m.Stop()
		}
		begun := time.Now()
		if _, err := get(w, res.Link); !errors.Is(err, client.ErrNoPeers) {
			t.Errorf("get: %v", err)
		}
		_, err := w.client(true).Put(w.ctx, client.Source{Reader: bytes.NewReader(nil), Name: "x"}, client.PutOptions{})
		if !errors.Is(err, client.ErrNoPeers) {
			t.Errorf("put: %v", err)
		}
		if took := time.Since(begun); took > time.Minute {
			t.Errorf("took %v", took)
		}
	})
}
