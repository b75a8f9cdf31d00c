package integration

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/p2p"
	"github.com/cairnstore/cairn/storage"

	cairnnode "github.com/cairnstore/cairn/node"
)

// realNetwork starts nodes over libp2p on loopback, all in this process, with
// stores in memory: the whole way of a byte except the disk.
func realNetwork(b testing.TB, count int) (boot []peer.AddrInfo) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	b.Cleanup(cancel)
	for range count {
		h, err := p2p.New(ctx, p2p.Config{
			Network: worldNetwork, Server: true, Bootstrap: boot,
			Listen: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/127.0.0.1/tcp/0")},
		})
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = h.Close() })
		store := storage.NewMemory(storage.Config{Quota: 8 << 30})
		n, err := cairnnode.New(cairnnode.Config{Network: worldNetwork, Agent: "bench", Net: h, Store: store, Donated: 8 << 30})
		if err != nil {
			b.Fatal(err)
		}
		h.Serve(n.Serve)
		go func() { _ = n.Run(ctx) }()
		info, err := peer.AddrInfoFromP2pAddr(h.Addrs()[0])
		if err != nil {
			b.Fatal(err)
		}
		boot = append(boot, *info)
	}
	return boot
}

func realClient(b testing.TB, boot []peer.AddrInfo, owns bool) *client.Client {
	b.Helper()
	h, err := p2p.New(b.Context(), p2p.Config{Network: worldNetwork, Bootstrap: boot})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = h.Close() })
	cfg := client.Config{Network: worldNetwork, Net: h}
	if owns {
		if cfg.Owner, err = client.OpenOwner(b.TempDir(), nil); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = cfg.Owner.Close() })
	}
	c := client.New(cfg)
	b.Cleanup(c.Close)
	return c
}

const wayBytes = 128 << 20

// BenchmarkPut and BenchmarkGet are for profiles; figures that count come from
// make bench, where every node is a process with a disk.
func BenchmarkPut(b *testing.B) {
	c := realClient(b, realNetwork(b, 10), true)
	content := randomBytes(wayBytes)
	b.SetBytes(wayBytes)
	for b.Loop() {
		putReal(b, c, content)
	}
}

func putReal(b *testing.B, c *client.Client, content []byte) protocol.Link {
	b.Helper()
	res, err := c.Put(b.Context(), client.Source{Reader: bytes.NewReader(content), Name: "x", Size: int64(len(content))},
		client.PutOptions{Profile: protocol.Profile{K: 4, R: 7, N: 10}, Wait: time.Minute})
	if err != nil {
		b.Fatal(err)
	}
	if res.Stored != 10 {
		b.Fatalf("stored %d of 10", res.Stored)
	}
	return res.Link
}

func BenchmarkGet(b *testing.B) {
	boot := realNetwork(b, 10)
	link := putReal(b, realClient(b, boot, true), randomBytes(wayBytes))
	c := realClient(b, boot, false)
	b.SetBytes(wayBytes)
	for b.Loop() {
		f, err := c.Open(b.Context(), link)
		if err != nil {
			b.Fatal(err)
		}
		if err := f.WriteTo(b.Context(), io.Discard, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkSmallFiles packs a thousand files in one session and reads them
// back, one after another, in another session.
func BenchmarkSmallFiles(b *testing.B) {
	for _, size := range []int64{4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			boot := realNetwork(b, 10)
			c := realClient(b, boot, true)
			texts := make([][]byte, 1000)
			for i := range texts {
				texts[i] = randomBytes(size)
			}
			var put, get time.Duration
			for b.Loop() {
				begun := time.Now()
				list := putSmall(b, c, texts)
				put += time.Since(begun)
				reader := realClient(b, boot, false)
				begun = time.Now()
				getSmall(b, reader, list)
				get += time.Since(begun)
			}
			count := float64(b.N * len(texts))
			b.ReportMetric(count/put.Seconds(), "put-files/s")
			b.ReportMetric(count/get.Seconds(), "get-files/s")
		})
	}
}

func putSmall(b *testing.B, c *client.Client, texts [][]byte) (list []client.Stored) {
	b.Helper()
	_, err := c.PutAll(b.Context(), sourcesOf(texts), client.PutOptions{Profile: protocol.Profile{K: 4, R: 7, N: 10}, Wait: time.Minute},
		func(s client.Stored) error { list = append(list, s); return nil })
	if err != nil {
		b.Fatal(err)
	}
	return list
}

func getSmall(b *testing.B, c *client.Client, list []client.Stored) {
	b.Helper()
	for _, s := range list {
		f, err := c.OpenManifest(b.Context(), s.Manifest)
		if err == nil {
			err = f.WriteTo(b.Context(), io.Discard, nil)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
