package p2p

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
)

// How long the dialler waits before it also tries the next address of a peer.
const (
	nextDelay  = 100 * time.Millisecond // between two of one kind
	quicDelay  = 300 * time.Millisecond // QUIC after TCP
	relayDelay = time.Second            // relays after whatever is direct
)

// Kinds of addresses in the order of dialling.
const (
	rankTCP = iota
	rankQUIC
	rankRelay
)

func rank(a multiaddr.Multiaddr) int {
	switch {
	case relayed(a):
		return rankRelay
	case overTCP(a):
		return rankTCP
	}
	return rankQUIC
}

// rankDials orders the dialling of one peer's addresses: TCP first, because
// bulk over TCP and TLS costs a third to a quarter of QUIC's CPU; QUIC a little
// later, where TCP does not get through. A kind that comes first waits for
// nothing.
func rankDials(addrs []multiaddr.Multiaddr) []network.AddrDelay {
	addrs = slices.Clone(addrs)
	slices.SortStableFunc(addrs, func(a, b multiaddr.Multiaddr) int { return rank(a) - rank(b) })
	out := make([]network.AddrDelay, len(addrs))
	var kind, place int
	var start time.Duration
	for i, a := range addrs {
		if k := rank(a); i > 0 && k != kind {
			start = max(start, map[int]time.Duration{rankQUIC: quicDelay, rankRelay: relayDelay}[k])
			place = 0
		}
		kind = rank(a)
		out[i] = network.AddrDelay{Addr: a, Delay: start + time.Duration(place)*nextDelay}
		place++
	}
	return out
}
