package p2p

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// How long the dialler waits before it also tries the next address of a peer.
// A dial that fails ends the wait: only silence costs all of it.
const (
	nextDelay = 100 * time.Millisecond // between two of one kind
	// QUIC after TCP. A busy machine takes more than 300 ms for a handshake with
	// a neighbour, and the connection that wins carries the bulk: QUIC at three
	// times the CPU, and with 256 streams a connection at most (libp2p fixes that).
	quicDelay      = 500 * time.Millisecond
	quicDelayLocal = 2 * time.Second
	relayDelay     = time.Second // relays after all direct addresses, though a relayed connection also seeks a direct way
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

// headStart is how long earlier kinds of addresses are tried before this one's.
func headStart(a multiaddr.Multiaddr) time.Duration {
	switch {
	case rank(a) == rankRelay:
		return relayDelay
	case rank(a) == rankTCP:
		return 0
	case manet.IsPublicAddr(a):
		return quicDelay
	}
	return quicDelayLocal
}

// rankDials orders the dialling of one peer's addresses: TCP first, because
// bulk over TCP and TLS costs a third to a quarter of QUIC's CPU; QUIC a little
// later, where TCP does not get through. The kind that comes first waits for
// nothing.
func rankDials(addrs []multiaddr.Multiaddr) []network.AddrDelay {
	addrs = slices.Clone(addrs)
	slices.SortStableFunc(addrs, func(a, b multiaddr.Multiaddr) int { return rank(a) - rank(b) })
	out := make([]network.AddrDelay, len(addrs))
	place := 0
	for i, a := range addrs {
		if i > 0 && rank(a) != rank(addrs[i-1]) {
			place = 0
		}
		delay := time.Duration(place) * nextDelay
		if rank(a) != rank(addrs[0]) {
			delay += headStart(a)
		}
		out[i] = network.AddrDelay{Addr: a, Delay: delay}
		place++
	}
	return out
}
