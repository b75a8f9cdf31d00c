package p2p

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/multiformats/go-multiaddr"
)

// fakeRouter maps every port to one address.
type fakeRouter struct {
	outer  multiaddr.Multiaddr
	closed int
}

func (r *fakeRouter) GetMapping(multiaddr.Multiaddr) multiaddr.Multiaddr { return r.outer }
func (r *fakeRouter) HasDiscoveredNAT() bool                             { return true }
func (r *fakeRouter) Close() error                                       { r.closed++; return nil }

// TestPortMap: no router is asked before a peer was seen at a public address,
// nor after the end.
func TestPortMap(t *testing.T) {
	node := startNode(t, Config{})
	router, asked := &fakeRouter{outer: mustAddr(t, "/ip4/20.1.1.1/tcp/4401")}, 0
	h := &Host{gate: &gate{}, public: newSignal(), ports: &portMapper{
		net:   node.host.Network(),
		start: func(network.Network) basichost.NATManager { asked++; return router },
	}}
	h.saw(mustAddr(t, "/ip4/192.168.1.3/tcp/4401"))
	if asked != 0 || h.ports.mapped() || h.ports.HasDiscoveredNAT() {
		t.Fatal("asks a router on a private network")
	}
	changed := h.public.next()
	for range 2 {
		h.saw(mustAddr(t, "/ip4/20.9.9.9/tcp/4401"))
	}
	if asked != 1 || !h.ports.mapped() || !h.ports.HasDiscoveredNAT() {
		t.Fatalf("asked %d times on a public network", asked)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody is told that the network is public")
	}
	if err := h.ports.Close(); err != nil || router.closed != 1 {
		t.Errorf("closed %d times, %v", router.closed, err)
	}

	late := &portMapper{start: h.ports.start}
	if err := late.Close(); err != nil {
		t.Error(err)
	}
	if late.begin(); asked != 1 {
		t.Error("asks a router after the end")
	}
	var none *portMapper
	if none.begin(); none.mapped() {
		t.Error("no mapper maps")
	}
}
