package group

import (
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// carrierNAT is shared address space (RFC 6598): a peer seen there is behind
// the same carrier, or in the same overlay network, as this peer.
var carrierNAT = netip.MustParsePrefix("100.64.0.0/10")

// Prefixes by which an IPv6 network reaches IPv4. An address in them is judged by
// the IPv4 address that it contains: otherwise all of the IPv4 world would be one
// domain to a host with NAT64, and a 6to4 /48 is a single IPv4 address.
var (
	nat64   = netip.MustParsePrefix("64:ff9b::/96") // RFC 6052
	sixToIV = netip.MustParsePrefix("2002::/16")    // RFC 3056
)

// IsPrivate reports whether a is a loopback, link-local, private (RFC 1918, RFC
// 4193) or carrier-NAT address: one that says nothing of where on the internet
// a peer is. The zero Addr is not private but unknown.
func IsPrivate(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsLoopback() || a.IsPrivate() || a.IsLinkLocalUnicast() || carrierNAT.Contains(a)
}

// Observed reads the address at which a connection sees its peer: the IP
// address, and the relay between if there is one (then the address is the
// relay's). Each is zero where m does not contain it; an address that cannot
// be a peer's (unspecified, multicast) counts as missing.
func Observed(m multiaddr.Multiaddr) (addr netip.Addr, relay peer.ID) {
	var last peer.ID
	multiaddr.ForEach(m, func(c multiaddr.Component) bool {
		switch c.Protocol().Code {
		case multiaddr.P_IP4, multiaddr.P_IP6:
			if !addr.IsValid() {
				addr, _ = netip.AddrFromSlice(c.RawValue())
			}
		case multiaddr.P_P2P:
			last, _ = peer.IDFromBytes(c.RawValue())
		case multiaddr.P_CIRCUIT:
			relay = last
			return false
		}
		return true
	})
	addr = addr.Unmap()
	if addr.IsUnspecified() || addr.IsMulticast() {
		addr = netip.Addr{}
	}
	return addr, relay
}

// effective returns the address by which the domain of a public address is
// judged.
func effective(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	switch {
	case nat64.Contains(a):
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:16]))
	case sixToIV.Contains(a):
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[2:6]))
	}
	return a
}
