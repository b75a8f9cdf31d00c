package p2p

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/cairnstore/cairn/protocol"
)

// gate decides which addresses are dialled and who may connect. It stands
// between libp2p and the sockets, so there is no way round it.
type gate struct {
	public atomic.Bool // a peer has been seen at a public address; never unset
	// sure tells whether an address of a peer is more than a hint: it was given by
	// the user, found on the local network, or led to that peer before.
	sure  func(peer.ID, multiaddr.Multiaddr) bool
	hints *dialBudget
	now   func() time.Time
	log   *slog.Logger

	mu      sync.Mutex
	shunned map[peer.ID]time.Time // until when; guarded by mu
}

var _ connmgr.ConnectionGater = (*gate)(nil)

// maxShunned bounds the peers that are kept out at a time: a new identity costs
// a liar nothing but a handshake, and handshakes are limited by address.
const maxShunned = 16_384

// shun keeps a peer out for some time.
func (g *gate) shun(p peer.ID, until time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shunned == nil || len(g.shunned) >= maxShunned {
		g.shunned = make(map[peer.ID]time.Time)
	}
	g.shunned[p] = until
}

// shuns reports whether a peer is to be kept out.
func (g *gate) shuns(p peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	until, ok := g.shunned[p]
	if ok && !g.now().Before(until) {
		delete(g.shunned, p)
		return false
	}
	return ok
}

// saw learns from the address of a connection what kind of network this is.
// Only addresses of live connections count: advertised ones cost a liar
// nothing.
func (g *gate) saw(a multiaddr.Multiaddr) {
	if !g.public.Load() && manet.IsPublicAddr(a) {
		g.public.Store(true)
	}
}

// InterceptPeerDial lets a peer be dialled if its key is Ed25519, of full order.
func (g *gate) InterceptPeerDial(p peer.ID) bool { return protocol.CheckPeer(p) == nil }

// InterceptAddrDial applies the rules on hints (SPEC.md, Dialling).
func (g *gate) InterceptAddrDial(p peer.ID, a multiaddr.Multiaddr) bool {
	// The relay itself is dialled first, and passes this gate by its own address.
	if !g.public.Load() || relayed(a) || g.sure(p, a) {
		return true
	}
	if !manet.IsPublicAddr(a) {
		g.log.Debug("hint into a private range not dialled", "peer", p, "addr", a)
		return false
	}
	if !g.hints.take(p, a, g.now()) {
		g.log.Debug("hint not dialled: its prefix had its share", "peer", p, "addr", a)
		return false
	}
	return true
}

// InterceptAccept accepts; the resource manager counts.
func (g *gate) InterceptAccept(network.ConnMultiaddrs) bool { return true }

// InterceptSecured refuses identities that anybody could sign for, and peers
// that are shunned.
func (g *gate) InterceptSecured(dir network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	return protocol.CheckPeer(p) == nil && (dir == network.DirOutbound || !g.shuns(p))
}

// InterceptUpgraded accepts.
func (g *gate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
