package p2p

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p-kbucket/peerdiversity"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

func TestGate(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	b := newBook()
	g := &gate{sure: b.isSure, hints: newDialBudget(), now: func() time.Time { return now }, log: slog.New(slog.DiscardHandler)}
	private, id := mustAddr(t, "/ip4/192.168.1.9/tcp/4401"), newPeerID(t)
	if !g.InterceptAddrDial(id, private) {
		t.Fatal("a private network's peers are not dialled")
	}
	g.saw(private)
	if g.public.Load() {
		t.Fatal("a private address made the network public")
	}
	g.saw(mustAddr(t, "/ip4/8.8.8.8/tcp/4401"))
	for _, a := range []string{"/ip4/192.168.1.9/tcp/4401", "/ip4/127.0.0.1/tcp/22", "/ip4/169.254.169.254/tcp/80", "/ip6/fd00::1/udp/1/quic-v1", "/ip6/::1/tcp/22"} {
		if g.InterceptAddrDial(id, mustAddr(t, a)) {
			t.Errorf("hint to %s dialled on a public network", a)
		}
	}
	b.trust(peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{private}}, false)
	if !g.InterceptAddrDial(id, private) || g.InterceptAddrDial(newPeerID(t), private) {
		t.Error("the local network's peers, and only they, are dialled in private ranges")
	}
	// A name given by the user stands for whatever it resolves to.
	b.trust(peer.AddrInfo{ID: id, Addrs: []multiaddr.Multiaddr{mustAddr(t, "/dns4/box.example/tcp/4401")}}, true)
	if !g.InterceptAddrDial(id, mustAddr(t, "/ip4/10.1.2.3/tcp/4401")) {
		t.Error("a given name's address is not dialled")
	}
}

func TestDialBudget(t *testing.T) {
	b := newDialBudget()
	now := time.Unix(1_700_000_000, 0)
	at := func(host, port int) multiaddr.Multiaddr {
		return mustAddr(t, fmt.Sprintf("/ip4/203.0.113.%d/tcp/%d", host, port))
	}
	for i := range hintDials {
		id := newPeerID(t)
		if !b.take(id, at(i, 4401), now) {
			t.Fatalf("dial %d refused", i)
		}
		if !b.take(id, mustAddr(t, fmt.Sprintf("/ip4/203.0.113.%d/udp/4401/quic-v1", i)), now) {
			t.Fatal("QUIC on the same port counts twice")
		}
	}
	id := newPeerID(t)
	if b.take(id, at(99, 4401), now) {
		t.Fatal("a fifth dial within a minute")
	}
	if !b.take(id, mustAddr(t, "/ip4/203.0.114.1/tcp/4401"), now) {
		t.Fatal("another prefix pays for the first")
	}
	if !b.take(id, at(99, 4401), now.Add(hintWindow)) {
		t.Fatal("the budget does not come back")
	}
	six := newDialBudget()
	for i := range hintDials + 1 {
		a := mustAddr(t, fmt.Sprintf("/ip6/2001:db8:1:%d::1/tcp/4401", i))
		if six.take(newPeerID(t), a, now) != (i < hintDials) {
			t.Fatalf("dial %d into an IPv6 /48", i)
		}
	}
}

func TestDialBudgetIsBounded(t *testing.T) {
	b := newDialBudget()
	now, id := time.Unix(1_700_000_000, 0), newPeerID(t)
	addr := func(i int) multiaddr.Multiaddr {
		return mustAddr(t, fmt.Sprintf("/ip4/1.%d.%d.1/tcp/1", i>>8, i&255))
	}
	for i := range maxPrefixes {
		if !b.take(id, addr(i), now) {
			t.Fatalf("prefix %d refused", i)
		}
	}
	if b.take(id, addr(maxPrefixes), now) {
		t.Fatal("no bound on prefixes")
	}
	if !b.take(id, addr(maxPrefixes), now.Add(hintWindow)) || len(b.seen) != 1 {
		t.Fatalf("%d prefixes watched after a quiet minute", len(b.seen))
	}
}

func TestRank(t *testing.T) {
	for _, c := range []struct {
		addrs []string
		want  []time.Duration
	}{
		{[]string{"/ip4/8.8.8.8/udp/1/quic-v1", "/ip4/8.8.8.8/tcp/1", "/ip6/2600::1/tcp/1"}, []time.Duration{0, nextDelay, quicDelay}},
		{[]string{"/ip4/127.0.0.1/udp/1/quic-v1", "/ip4/127.0.0.1/tcp/1"}, []time.Duration{0, quicDelayLocal}},
		{[]string{"/ip4/8.8.8.8/udp/1/quic-v1"}, []time.Duration{0}},
		{nil, nil},
	} {
		var addrs []multiaddr.Multiaddr
		for _, a := range c.addrs {
			addrs = append(addrs, mustAddr(t, a))
		}
		last := rankTCP
		for i, d := range rankDials(addrs) {
			if d.Delay != c.want[i] || rank(d.Addr) < last {
				t.Errorf("%v: place %d is %s after %v", c.addrs, i, d.Addr, d.Delay)
			}
			last = rank(d.Addr)
		}
	}
}

func TestPresentable(t *testing.T) {
	loop, lan, pub := mustAddr(t, "/ip4/127.0.0.1/tcp/1"), mustAddr(t, "/ip4/192.168.0.2/tcp/1"), mustAddr(t, "/ip4/8.8.8.8/tcp/1")
	local := mustAddr(t, "/ip6/fe80::1/tcp/1")
	any4 := []multiaddr.Multiaddr{mustAddr(t, "/ip4/0.0.0.0/tcp/1")}
	for _, c := range []struct {
		have, listen []multiaddr.Multiaddr
		public       bool
		want         []multiaddr.Multiaddr
	}{
		{[]multiaddr.Multiaddr{loop, lan, local, pub}, any4, true, []multiaddr.Multiaddr{pub}},
		{[]multiaddr.Multiaddr{loop, lan, local, pub}, any4, false, []multiaddr.Multiaddr{pub, lan}},
		{[]multiaddr.Multiaddr{loop, lan}, any4, true, []multiaddr.Multiaddr{lan}},
		{[]multiaddr.Multiaddr{loop, local}, any4, false, []multiaddr.Multiaddr{loop}},
		{[]multiaddr.Multiaddr{loop, lan}, []multiaddr.Multiaddr{loop}, false, []multiaddr.Multiaddr{lan, loop}},
		{nil, any4, false, nil},
	} {
		got := presentable(c.have, c.listen, c.public)
		if fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("of %v, public %v: %v, not %v", c.have, c.public, got, c.want)
		}
	}
}

func TestPortTaken(t *testing.T) {
	node := startNode(t, Config{})
	for _, a := range node.ownAddrs() {
		if _, err := New(t.Context(), Config{Network: testNetwork, Server: true, Listen: []multiaddr.Multiaddr{a}}); !errors.Is(err, ErrPortTaken) {
			t.Errorf("%s, held by a node: %v", a, err)
		}
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a := mustAddr(t, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", l.Addr().(*net.TCPAddr).Port))
	if _, err := New(t.Context(), Config{Network: testNetwork, Listen: []multiaddr.Multiaddr{a}}); !errors.Is(err, ErrPortTaken) {
		t.Errorf("%s, held by another program: %v", a, err)
	}
}

func TestDiversity(t *testing.T) {
	node := startNode(t, Config{})
	startClient(t, Config{}, node)
	d := newDiversity(node.host.Network())
	from := node.host.Network().Peers()[0]
	for cpl := range 3 * maxPerTable { // loopback is exempt
		g := peerdiversity.PeerGroupInfo{Id: from, Cpl: cpl}
		if !d.Allow(g) {
			t.Fatal("a peer on loopback refused")
		}
		d.Increment(g)
	}
	if len(d.table) != 0 {
		t.Fatalf("loopback counted: %v", d.table)
	}
}

// TestHintsOnPublicNetwork asks a whole host, not the gate alone.
func TestHintsOnPublicNetwork(t *testing.T) {
	met, hinted := startNode(t, Config{}), startNode(t, Config{})
	client := startClient(t, Config{}, met)
	client.gate.public.Store(true)
	hint := infos(hinted)[0]
	client.Learn(hint)
	if _, err := client.Open(deadline(t), hinted.Self()); !errors.Is(err, protocol.ErrUnreachable) {
		t.Fatal("a hint into a private range was followed: ", err)
	}
	if n := len(hinted.host.Network().Conns()); n != 0 {
		t.Fatalf("%d connections at the address of the hint", n)
	}
	client.book.trust(hint, false) // as mDNS does
	s, err := client.Open(deadline(t), hinted.Self())
	if err != nil {
		t.Fatal(err)
	}
	_ = s.Reset()
}
