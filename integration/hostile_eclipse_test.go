package integration

import (
	"bytes"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/client"
	cairnnode "github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"
)

// camp is nodes at public addresses that know one another and nobody else.
type camp struct {
	w     *world
	boot  []peer.AddrInfo
	nodes []*member
}

// newCamp starts nodes, each at the address that addr gives, and lets gossip
// go round.
func (w *world) newCamp(count int, addr func(i int) string) *camp {
	w.t.Helper()
	c := &camp{w: w}
	for i := range count {
		p := w.net.Peer(memnet.PeerConfig{Server: true, Bootstrap: c.boot, Addr: multiaddr.StringCast(addr(i))})
		store := storage.NewMemory(storage.Config{Quota: 1 << 30})
		n, err := cairnnode.New(cairnnode.Config{Network: worldNetwork, Agent: "test", Net: p, Store: store, Donated: 1 << 30})
		if err != nil {
			w.t.Fatal(err)
		}
		p.Serve(n.Serve)
		w.running.Go(func() { _ = n.Run(w.ctx) })
		if len(c.boot) < 3 {
			c.boot = append(c.boot, p.AddrInfo())
		}
		c.nodes = append(c.nodes, &member{p, n, store})
	}
	time.Sleep(time.Minute) // virtual
	return c
}

// clientWith is a newcomer that knows the peers given.
func (w *world) clientWith(boot ...peer.AddrInfo) *client.Client {
	w.t.Helper()
	o, err := client.OpenOwner(w.t.TempDir(), w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = o.Close() })
	c := client.New(client.Config{
		Network: worldNetwork, Owner: o, Log: w.log,
		Net: w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: boot, Addr: multiaddr.StringCast("/ip4/9.9.9.9/tcp/1")}),
	})
	w.t.Cleanup(c.Close)
	return c
}

// A put is warned if its bootstrap peer shows only its own nodes, in two machine
// rooms. One honest peer that is remembered, hinted or on the local network leads
// to all the others, and to the file.
func TestBootstrapThatShowsOnlyItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seed := mathrand.Uint64()
		t.Logf("seed %d", seed)
		w := newWorld(t, 0, memnet.Config{Latency: 10 * time.Millisecond, Seed: seed})
		w.net.SilenceDHT(true) // the captor controls it, too
		honest := w.newCamp(28, func(i int) string { return fmt.Sprintf("/ip4/%d.1.1.1/tcp/4401", 20+i) })
		captors := w.newCamp(12, func(i int) string { return fmt.Sprintf("/ip4/66.%d.%d.1/tcp/4401", 6+i%2, i) })

		b := randomBytes(3 << 20)
		res := put(w, w.clientWith(honest.boot...), b, client.PutOptions{Hints: true})
		if len(res.Warnings) != 0 {
			t.Errorf("an honest network is warned of: %q", res.Warnings)
		}

		caught := w.clientWith(captors.boot...)
		v, err := caught.NetworkView(w.ctx)
		if err != nil || len(v.Nodes) != 12 {
			t.Fatalf("the newcomer sees %d nodes, %v", len(v.Nodes), err)
		}
		lost := put(w, caught, b, client.PutOptions{Wait: time.Second})
		if len(lost.Warnings) == 0 || !strings.Contains(lost.Warnings[0], "2 address ranges") {
			t.Errorf("a put into two machine rooms warns: %q", lost.Warnings)
		}

		rescued := w.clientWith(append(slices.Clone(captors.boot), honest.nodes[13].AddrInfo())...)
		v, err = rescued.NetworkView(w.ctx)
		if err != nil || len(v.Nodes) != 40 {
			t.Errorf("with one honest peer it sees %d nodes, %v", len(v.Nodes), err)
		}
		if safe := put(w, rescued, b, client.PutOptions{}); len(safe.Warnings) != 0 || w.heldBy(rescued, safe.Link, captors) > 4 {
			t.Errorf("%d of %s lie with the captors; warnings %q", w.heldBy(rescued, safe.Link, captors), safe.Profile, safe.Warnings)
		}
		bare := res.Link
		bare.Hints = nil
		for what, c := range map[string]struct {
			by   *client.Client
			link protocol.Link
		}{
			"by the link's hints":    {w.clientWith(captors.boot...), res.Link},
			"by one peer remembered": {rescued, bare},
			"by an honest bootstrap": {w.clientWith(captors.boot[0], honest.boot[0]), bare},
		} {
			f, err := c.by.Open(w.ctx, c.link)
			if err != nil {
				t.Errorf("%s: %v", what, err)
				continue
			}
			var got bytes.Buffer
			if err := f.WriteTo(w.ctx, &got, nil); err != nil || !bytes.Equal(got.Bytes(), b) {
				t.Errorf("%s: %d bytes, %v", what, got.Len(), err)
			}
		}
	})
}

// heldBy counts the holders of a link's file that are of a camp.
func (w *world) heldBy(by *client.Client, l protocol.Link, c *camp) (n int) {
	w.t.Helper()
	h, err := by.Health(w.ctx, l)
	if err != nil {
		w.t.Error(err)
		return -1
	}
	for _, v := range h.Holders {
		for _, m := range c.nodes {
			if m.Self() == v.Peer {
				n++
			}
		}
	}
	return n
}
