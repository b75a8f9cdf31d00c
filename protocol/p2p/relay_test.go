package p2p

import (
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// startRelay starts a node that relays: a public one.
func startRelay(t *testing.T, options ...libp2p.Option) *Host {
	t.Helper()
	h := startNode(t, Config{Public: PublicYes, options: options})
	eventually(t, "a public node offers to relay", func() bool { return speaksFor(h, proto.ProtoIDv2Hop) })
	return h
}

func speaksFor(h *Host, p libprotocol.ID) bool { return slices.Contains(h.host.Mux().Protocols(), p) }

// through returns the address of a peer behind a relay.
func through(t *testing.T, relay *Host) multiaddr.Multiaddr {
	return relay.Addrs()[0].Encapsulate(mustAddr(t, "/p2p-circuit"))
}

func reserve(t *testing.T, h, relay *Host) error {
	t.Helper()
	if err := h.host.Connect(deadline(t), infos(relay)[0]); err != nil {
		t.Fatal(err)
	}
	_, err := circuit.Reserve(deadline(t), h.host, infos(relay)[0])
	return err
}

func TestThroughRelay(t *testing.T) {
	relay := startRelay(t)
	hidden := startNode(t, Config{Public: PublicNo}, relay)
	if err := reserve(t, hidden, relay); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a node that cannot be dialled leaves the DHT's service", func() bool { return !speaksFor(hidden, kadProtocol) })
	if !speaksFor(relay, kadProtocol) {
		t.Error("a public node does not serve the DHT")
	}

	client := start(t, Config{})
	client.Learn(peer.AddrInfo{ID: hidden.Self(), Addrs: []multiaddr.Multiaddr{through(t, relay)}})
	s, err := client.Open(deadline(t), hidden.Self())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Reset() }()
	if !s.Remote().Relayed {
		t.Error("the stream does not say that it is relayed")
	}
	if _, relayed, ok := client.RemoteAddr(hidden.Self()); !ok || !relayed {
		t.Errorf("connected %v, relayed %v", ok, relayed)
	}
	shard := make([]byte, protocol.MaxShardSize) // as large as any
	go func() { _, _ = s.Write(shard) }()
	if _, err := io.ReadFull(s, make([]byte, len(shard))); err != nil {
		t.Fatalf("a shard through a relay: %v", err)
	}
	eventually(t, "the client counts whom it reaches through a relay", func() bool { return client.Peers() > 0 })
	if n := relay.Reachability().Carried; n < int64(2*len(shard)) {
		t.Errorf("the relay counts %d bytes carried", n)
	}
}

func TestRelayServesItsOwnNetwork(t *testing.T) {
	relay := startRelay(t)
	client := startNode(t, Config{Network: "another", Public: PublicNo})
	var no circuit.ReservationError
	if err := reserve(t, client, relay); !errors.As(err, &no) || no.Status != pb.Status_PERMISSION_DENIED {
		t.Fatalf("a peer of another network asks for a reservation: %v", err)
	}
}

// TestRelayOfLittleUse: a relay with libp2p's usual limits would cut shards off.
func TestRelayOfLittleUse(t *testing.T) {
	relay := startRelay(t, libp2p.EnableRelayService())
	hidden := startNode(t, Config{Public: PublicNo}, relay)
	if err := reserve(t, hidden, relay); err != nil {
		t.Fatal(err)
	}
	client := start(t, Config{})
	client.Learn(peer.AddrInfo{ID: hidden.Self(), Addrs: []multiaddr.Multiaddr{through(t, relay)}})
	if _, err := client.Open(deadline(t), hidden.Self()); !errors.Is(err, protocol.ErrUnreachable) || !errors.Is(err, errCarriesLittle) {
		t.Fatal(err)
	}
}

func TestRelayMeterHoldsItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, begun := newRelayMeter(nil), time.Now()
		const bytes = relayBurst + 3*relayRate
		for range bytes / relayBuffer {
			c.BytesTransferred(relayBuffer)
		}
		if took := time.Since(begun).Round(time.Second); took != 3*time.Second || c.bytes.Load() != bytes {
			t.Errorf("%d bytes in %s", c.bytes.Load(), took)
		}
	})
}

func TestNoRelayUntilNeeded(t *testing.T) {
	h := &Host{}
	for _, acts := range []network.Reachability{network.ReachabilityUnknown, network.ReachabilityPublic} {
		h.reach.now.acts = acts
		if got := h.couldRelay(); got != nil {
			t.Errorf("%v: %v", acts, got)
		}
	}
}

func TestFamilyGate(t *testing.T) {
	public, local := mustAddr(t, "/ip6/2a01:4f8::1/tcp/1"), mustAddr(t, "/ip6/fd00::1/tcp/1")
	route := false
	g := familyGate{&gate{}, func() bool { return route }}
	if g.InterceptAddrDial("p", public) {
		t.Error("dials a public IPv6 address without a route")
	}
	if !g.InterceptAddrDial("p", local) || !g.InterceptAddrDial("p", mustAddr(t, "/ip4/20.1.1.1/tcp/1")) {
		t.Error("refuses what needs no public IPv6")
	}
	if route = true; !g.InterceptAddrDial("p", public) {
		t.Error("refuses a public IPv6 address with a route")
	}
	now, looked := time.Unix(1, 0), 0
	has := routeIPv6(func() time.Time { return now }, func() bool { looked++; return true })
	for range 3 {
		has()
	}
	if now = now.Add(routeKnown); !has() || looked != 2 {
		t.Errorf("looked %d times", looked)
	}
}
