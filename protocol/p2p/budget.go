package p2p

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// How often hints may send us to one address prefix.
const (
	hintDials   = 4 // dials a minute to a prefix
	hintWindow  = time.Minute
	hintBits4   = 24
	hintBits6   = 48
	sameDial    = 10 * time.Second // dials of one endpoint within this time count once
	maxPrefixes = 8192             // watched at a time
)

// dialBudget counts the dials that hints cause, so that nobody can turn a
// network's peers against a third party. TCP and QUIC on one port are one dial.
type dialBudget struct {
	mu   sync.Mutex
	seen map[netip.Prefix][]hintDial // the oldest first; guarded by mu
}

type hintDial struct {
	to endpoint
	at time.Time
}

type endpoint struct {
	peer peer.ID
	ip   netip.Addr
	port string
}

func newDialBudget() *dialBudget {
	return &dialBudget{seen: make(map[netip.Prefix][]hintDial)}
}

// take reports whether one more dial fits the budget, and counts it.
func (b *dialBudget) take(p peer.ID, a multiaddr.Multiaddr, now time.Time) bool {
	ip, ok := addrIP(a)
	if !ok {
		return false // names were resolved before
	}
	prefix, to := prefixOf(ip, hintBits4, hintBits6), endpoint{p, ip, port(a)}
	b.mu.Lock()
	defer b.mu.Unlock()
	dials := recent(b.seen[prefix], now)
	for _, d := range dials {
		if d.to == to && now.Sub(d.at) < sameDial {
			return true
		}
	}
	if len(dials) >= hintDials || len(dials) == 0 && !b.room(now) {
		return false
	}
	b.seen[prefix] = append(dials, hintDial{to, now})
	return true
}

// recent drops the dials that are out of the window.
func recent(dials []hintDial, now time.Time) []hintDial {
	for len(dials) > 0 && now.Sub(dials[0].at) >= hintWindow {
		dials = dials[1:]
	}
	return dials
}

// room forgets prefixes that were quiet for a window and reports whether one
// more may be watched.
func (b *dialBudget) room(now time.Time) bool {
	if len(b.seen) < maxPrefixes {
		return true
	}
	for prefix, dials := range b.seen {
		if len(recent(dials, now)) == 0 {
			delete(b.seen, prefix)
		}
	}
	return len(b.seen) < maxPrefixes
}
