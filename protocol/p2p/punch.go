package p2p

import (
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

const (
	// observers is how many peers must see this one at the same address before
	// the address is considered its own and tested by AutoNAT. libp2p wants four,
	// which a young network does not have. With one, any peer could make us tell
	// others of addresses that are not ours.
	observers = 2

	// readyWithin is how long after the start this peer waits, until it knows its
	// own address, before it dials a peer through a relay: that peer tries to punch
	// a hole immediately, and only once.
	readyWithin = 2 * time.Second
)

func init() { observedaddrs.ActivationThresh = observers }

// punchListen are where a peer that serves nobody listens: it punches holes from
// these ports.
var punchListen = []multiaddr.Multiaddr{
	multiaddr.StringCast("/ip4/0.0.0.0/tcp/0"), multiaddr.StringCast("/ip4/0.0.0.0/udp/0/quic-v1"),
	multiaddr.StringCast("/ip6/::/tcp/0"), multiaddr.StringCast("/ip6/::/udp/0/quic-v1"),
}

// punches reports whether this peer may have to punch holes: whether it serves,
// or some peer that it knows is not on its own network. A client on a network at
// home opens no port, so no firewall asks about it.
func (h *Host) punches() bool {
	if len(h.cfg.Listen) > 0 {
		return h.cfg.Server
	}
	return !h.cfg.Server && h.book.any(func(a multiaddr.Multiaddr) bool { return manet.IsPublicAddr(a) || relayed(a) })
}

// openPunchPorts listens where a client's holes begin. Without ports it is as
// before: holders behind NATs are reached through their relays.
func (h *Host) openPunchPorts() {
	if !h.punching || len(h.cfg.Listen) > 0 {
		return
	}
	if err := h.host.Network().Listen(punchListen...); err != nil {
		h.log.Info("no port to punch holes from", "error", err)
	}
}

// awaitPunchReady waits, shortly after the start, until this peer can answer a
// peer behind a relay that wants to punch a hole.
func (h *Host) awaitPunchReady(ctx context.Context, p peer.ID) {
	left := readyWithin - time.Since(h.started)
	if !h.punching || left <= 0 || !slices.ContainsFunc(h.host.Peerstore().Addrs(p), relayed) {
		return
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-h.ready:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// punchCount counts the holes that were punched, and direct dials back to peers
// that came through a relay.
type punchCount struct{ atomic.Int64 }

// Trace is called with everything that happens while holes are punched.
func (n *punchCount) Trace(e *holepunch.Event) {
	switch e := e.Evt.(type) {
	case *holepunch.EndHolePunchEvt:
		if e.Success {
			n.Add(1)
		}
	case *holepunch.DirectDialEvt:
		if e.Success {
			n.Add(1)
		}
	}
}
