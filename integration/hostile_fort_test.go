//go:build linux

package integration

import (
	"bytes"
	"context"
	mathrand "math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/client"
	cairnnode "github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/protocol/p2p"
	"github.com/cairnstore/cairn/storage"
)

// fort is one node on libp2p over loopback, with a file on it and an honest
// reader of that file.
type fort struct {
	t    *testing.T
	ctx  context.Context
	host *p2p.Host
	node *cairnnode.Node
	held storage.ShardInfo // one shard of the file
	file *client.File
	size int64
	b    []byte
}

func newFort(t *testing.T) *fort {
	t.Helper()
	f := &fort{t: t, ctx: t.Context(), b: randomBytes(4 << 20), size: 4 << 20}
	f.host = f.start(p2p.Config{Server: true, Listen: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/0")}})
	store := storage.NewMemory(storage.Config{Quota: 1 << 30})
	var err error
	f.node, err = cairnnode.New(cairnnode.Config{
		Network: worldNetwork, Agent: "test", Net: f.host, Store: store, Donated: 1 << 30,
	})
	f.must(err)
	f.host.Serve(f.node.Serve)
	owner, err := client.OpenOwner(t.TempDir(), nil)
	f.must(err)
	t.Cleanup(func() { _ = owner.Close() })
	c := client.New(client.Config{Network: worldNetwork, Net: f.start(p2p.Config{Bootstrap: []peer.AddrInfo{f.info()}}), Owner: owner})
	t.Cleanup(c.Close)
	res, err := c.Put(f.ctx, client.Source{Reader: bytes.NewReader(f.b), Name: "x", Size: f.size}, client.PutOptions{Wait: time.Second})
	f.must(err)
	for g, err := range store.Groups(f.ctx) {
		f.must(err)
		for f.held, err = range store.Shards(f.ctx, g) {
			f.must(err)
		}
	}
	reader := client.New(client.Config{Network: worldNetwork, Net: f.start(p2p.Config{Bootstrap: []peer.AddrInfo{f.info()}})})
	t.Cleanup(reader.Close)
	f.file, err = reader.Open(f.ctx, res.Link)
	f.must(err)
	return f
}

func (f *fort) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fort) start(cfg p2p.Config) *p2p.Host {
	f.t.Helper()
	cfg.Network = worldNetwork
	h, err := p2p.New(f.ctx, cfg)
	f.must(err)
	f.t.Cleanup(func() { _ = h.Close() })
	if len(cfg.Bootstrap) > 0 {
		f.must(h.Wait(f.ctx))
	}
	return h
}

func (f *fort) info() peer.AddrInfo {
	info, err := peer.AddrInfosFromP2pAddrs(f.host.Addrs()...)
	f.must(err)
	return info[0]
}

// read has the honest reader read pieces, each of which must be true and come
// in time. It returns how long they took, the longest last.
func (f *fort) read(pieces int) []time.Duration {
	f.t.Helper()
	rng := mathrand.New(mathrand.NewPCG(1, 2))
	took := make([]time.Duration, pieces)
	buf := make([]byte, 16<<10)
	for i := range took {
		off := rng.Int64N(f.size - int64(len(buf)))
		ctx, cancel := context.WithTimeout(f.ctx, patience)
		begun := time.Now()
		n, err := f.file.ReadAt(ctx, buf, off)
		took[i] = time.Since(begun)
		cancel()
		if err != nil || !bytes.Equal(buf[:n], f.b[off:off+int64(n)]) || n != len(buf) {
			f.t.Fatalf("piece %d: %d bytes, %v", i, n, err)
		}
	}
	slices.Sort(took)
	return took
}

func p99(sorted []time.Duration) time.Duration { return sorted[len(sorted)*99/100] }
