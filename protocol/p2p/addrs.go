package p2p

import (
	"net/netip"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/cairnstore/cairn/protocol"
)

// addrIP returns the IP of an address that begins with one.
func addrIP(a multiaddr.Multiaddr) (netip.Addr, bool) {
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}, false
	}
	n, ok := netip.AddrFromSlice(ip)
	return n.Unmap(), ok
}

// prefixOf returns the /v4 or /v6 prefix in which an IP lies.
func prefixOf(ip netip.Addr, v4, v6 int) netip.Prefix {
	bits := v6
	if ip.Is4() {
		bits = v4
	}
	p, _ := ip.WithZone("").Prefix(bits)
	return p
}

// port returns the TCP or UDP port of an address, or "".
func port(a multiaddr.Multiaddr) string {
	for _, code := range []int{multiaddr.P_TCP, multiaddr.P_UDP} {
		if v, err := a.ValueForProtocol(code); err == nil {
			return v
		}
	}
	return ""
}

func relayed(a multiaddr.Multiaddr) bool {
	_, err := a.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}

func overTCP(a multiaddr.Multiaddr) bool {
	_, err := a.ValueForProtocol(multiaddr.P_TCP)
	return err == nil
}

// onlyPublic returns the addresses that are dialled on a public network.
func onlyPublic(addrs []multiaddr.Multiaddr) []multiaddr.Multiaddr {
	return slices.DeleteFunc(slices.Clone(addrs), func(a multiaddr.Multiaddr) bool {
		return !manet.IsPublicAddr(a) && !relayed(a)
	})
}

// Classes of addresses, the best to tell others first.
const (
	classPublic = iota
	classPrivate
	classLoopback
	classUseless
)

func classOf(a multiaddr.Multiaddr) int {
	switch {
	case manet.IsIP6LinkLocal(a), manet.IsIPUnspecified(a):
		return classUseless
	case manet.IsIPLoopback(a):
		return classLoopback
	case manet.IsPublicAddr(a), relayed(a):
		return classPublic
	}
	return classPrivate
}

// presentable picks, of a host's own addresses, those worth telling: on a
// public network the public ones alone, if there are any; loopback only where
// the user asked to listen there, or nothing else is left. TCP stands before
// QUIC, and there are at most protocol.MaxEnvelopeAddrs.
func presentable(addrs, listen []multiaddr.Multiaddr, public bool) []multiaddr.Multiaddr {
	var by [classUseless + 1][]multiaddr.Multiaddr
	for _, a := range addrs {
		c := classOf(a)
		by[c] = append(by[c], a)
	}
	out := by[classPublic]
	if !public || len(out) == 0 {
		out = append(out, by[classPrivate]...)
	}
	if len(out) == 0 || slices.ContainsFunc(listen, manet.IsIPLoopback) {
		out = append(out, by[classLoopback]...)
	}
	slices.SortStableFunc(out, func(a, b multiaddr.Multiaddr) int {
		if c := classOf(a) - classOf(b); c != 0 {
			return c
		}
		return rank(a) - rank(b)
	})
	return out[:min(len(out), protocol.MaxEnvelopeAddrs)]
}

// withID appends /p2p/ID to each address.
func withID(id peer.ID, addrs []multiaddr.Multiaddr) []multiaddr.Multiaddr {
	if len(addrs) == 0 {
		return nil // libp2p would make a bare ID of it
	}
	out, err := peer.AddrInfoToP2pAddrs(&peer.AddrInfo{ID: id, Addrs: addrs})
	if err != nil {
		return nil // cannot happen: libp2p itself made the ID
	}
	return out
}
