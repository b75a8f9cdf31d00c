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
}

type member struct {
	*memnet.Peer
	node  *cairnnode.Node
	store *storage.Memory
}

const worldNetwork = "test"

// newWorld starts count nodes and lets them get to know each other. It must be
// called inside a synctest bubble, which close lets end.
func newWorld(t *testing.T, count int, cfg memnet.Config) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &world{t: t, ctx: ctx, net: memnet.New(cfg), log: slog.New(slog.DiscardHandler)}
	if testing.Verbose() {
		w.log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelInfo}))
	}
	done := make(chan struct{})
	running := 0
	for range count {
		m := w.addNode()
		running++
		go func() {
			_ = m.node.Run(ctx)
			done <- struct{}{}
		}()
	}
	t.Cleanup(func() {
		cancel()
		for range running {
			<-done
		}
		if err := w.net.Close(); err != nil {
			t.Error(err)
		}
	})
	time.Sleep(time.Minute) // virtual: gossip has gone round
	return w
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
			if m := w.member(h.Holders[i].Peer); m != nil {
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
