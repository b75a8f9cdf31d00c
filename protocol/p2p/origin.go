package p2p

import (
	"net/netip"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol/group"
)

// origin is where a peer is seen. What peers ask of this one is counted by their
// origins, because peer IDs are free and addresses are not. A relayed peer has
// its relay's origin. The zero origin stands for private and loopback addresses,
// which a testnet or a household shares: it has no limits.
type origin struct {
	narrow group.Domain // the /24, IPv6: /48
	wide   netip.Prefix // the /16, IPv6: /32
}

// originOf returns the origin of an address at which a connection sees its
// peer.
func originOf(a multiaddr.Multiaddr) origin {
	if a == nil {
		return origin{}
	}
	ip, _ := group.Observed(a)
	d := group.AddrDomain(ip)
	wide, ok := d.Wide()
	if !ok {
		return origin{}
	}
	return origin{d, wide}
}

func (o origin) exempt() bool { return o == origin{} }
