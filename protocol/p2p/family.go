package p2p

import (
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// familyGate is the gate, and refuses public IPv6 addresses while this machine
// has no route to them. Such a dial fails anyway. But when we dial back for
// AutoNAT, a failed dial counts against the asker, while a refused one does not:
// without this, peers without IPv6 would report an IPv6-only donor as unreachable.
type familyGate struct {
	*gate
	route func() bool // to public IPv6 addresses
}

// InterceptAddrDial applies the rules on hints, and this one.
func (g familyGate) InterceptAddrDial(p peer.ID, a multiaddr.Multiaddr) bool {
	if ip, ok := addrIP(a); ok && ip.Is6() && manet.IsPublicAddr(a) && !g.route() {
		return false
	}
	return g.gate.InterceptAddrDial(p, a)
}

// routeKnown is how long the last look for a route is believed.
const routeKnown = time.Minute

// routeIPv6 returns a function that reports whether the machine has a route to
// public IPv6 addresses.
func routeIPv6(now func() time.Time, look func() bool) func() bool {
	var mu sync.Mutex
	var at time.Time
	var has bool
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		if t := now(); at.IsZero() || t.Sub(at) >= routeKnown {
			at, has = t, look()
		}
		return has
	}
}

// lookIPv6 asks the system for a route. Connecting a UDP socket sends nothing.
func lookIPv6() bool {
	c, err := net.Dial("udp6", "[2000::1]:9")
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
