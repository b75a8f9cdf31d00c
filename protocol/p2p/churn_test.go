package p2p

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// city is a simulated public network (QUIC only): every node in a /16 of its
// own, 20 ms apart.
type city struct {
	t    *testing.T
	net  *simnet.Simnet
	keys []crypto.PrivKey
	up   []*Host // nil: down
}

func newCity(t *testing.T, nodes int) *city {
	c := &city{t: t, net: &simnet.Simnet{LatencyFunc: simnet.StaticLatency(10 * time.Millisecond)}, up: make([]*Host, nodes)}
	for range nodes {
		c.keys = append(c.keys, newKey(t))
	}
	c.net.Start()
	return c
}

func (c *city) addr(i int) multiaddr.Multiaddr {
	return mustAddr(c.t, fmt.Sprintf("/ip4/%d.1.1.1/udp/4401/quic-v1", 20+i))
}

func (c *city) info(i int) peer.AddrInfo {
	id, err := peer.IDFromPrivateKey(c.keys[i])
	if err != nil {
		c.t.Fatal(err)
	}
	return peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{c.addr(i)}}
}

// start starts node i, which knows two others.
func (c *city) start(i int) {
	link := simnet.LinkSettings{BitsPerSecond: 50 * simlibp2p.OneMbps}
	h, err := New(c.t.Context(), Config{
		Network: testNetwork, Server: true, Key: c.keys[i], Listen: []multiaddr.Multiaddr{c.addr(i)},
		Bootstrap: []peer.AddrInfo{c.info((i + 1) % len(c.keys)), c.info((i + 5) % len(c.keys))},
		options: []libp2p.Option{
			simlibp2p.QUICSimnet(c.net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
			libp2p.DisableIdentifyAddressDiscovery(),                               // it stalls synctest
			func(c *libp2p.Config) error { c.EnableAutoNATv2 = false; return nil }, // it would open real sockets
		},
		probe: func(multiaddr.Multiaddr) error { return nil },
	})
	if err != nil {
		c.t.Fatal(err)
	}
	h.Serve(echo)
	c.up[i] = h
	if err := h.Announce(groupOf(i)); err != nil {
		c.t.Fatal(err)
	}
}

func (c *city) stop(i int) {
	if err := c.up[i].Close(); err != nil {
		c.t.Error(err)
	}
	c.up[i] = nil
}

func groupOf(i int) protocol.Key { return protocol.Key{1, byte(i)} }

// TestAnnouncedToNewcomers lets a network outgrow the peers that were told.
func TestAnnouncedToNewcomers(t *testing.T) {
	const nodes = 6
	synctest.Test(t, func(t *testing.T) {
		c := newCity(t, nodes)
		defer c.net.Close()
		c.start(0)
		c.start(1)
		time.Sleep(time.Minute) // of the simulation
		if !recorded(c.up[1], groupOf(0), c.up[0].Self()) {
			t.Fatal("the only other peer was not told")
		}
		for i := 2; i < nodes; i++ {
			c.start(i)
		}
		time.Sleep(time.Minute)
		told := 0
		for _, h := range c.up[1:] {
			if recorded(h, groupOf(0), c.up[0].Self()) {
				told++
			}
		}
		if 2*told <= nodes-1 { // the table did not double since all of it was told
			t.Errorf("%d of %d others were told", told, nodes-1)
		}
		for i := range nodes {
			c.stop(i)
		}
	})
}

// TestChurn lets nodes of a public network come and go for ten minutes; then
// everybody finds and reaches everybody.
func TestChurn(t *testing.T) {
	const nodes, rounds = 8, 20
	seed := rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		dice := rand.New(rand.NewPCG(seed, 0))
		c := newCity(t, nodes)
		defer c.net.Close()
		for i := range nodes {
			c.start(i)
		}
		for range rounds {
			i := dice.IntN(nodes)
			time.Sleep(10 * time.Second) // of the simulation
			c.stop(i)
			time.Sleep(20 * time.Second)
			c.start(i)
		}
		time.Sleep(2 * time.Minute)
		c.check()
		for i := range nodes {
			c.stop(i)
		}
	})
}

func (c *city) check() {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for i, from := range c.up {
		if !from.Public() {
			c.t.Errorf("node %d takes the network for a private one", i)
		}
		for j, to := range c.up {
			if i == j {
				continue
			}
			if !findsProvider(ctx, from, groupOf(j), to.Self()) {
				c.t.Errorf("node %d does not find node %d's group", i, j)
			}
			s, err := from.Open(ctx, to.Self())
			if err != nil {
				c.t.Errorf("node %d does not reach node %d: %v", i, j, err)
				continue
			}
			_ = s.Reset()
		}
	}
}
