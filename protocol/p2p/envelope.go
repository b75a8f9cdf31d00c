package p2p

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// envelopeAge is how long an unchanged envelope is shown again: each new one
// is a fact that all of a group's members keep.
const envelopeAge = time.Hour

type envelopeCache struct {
	mu    sync.Mutex
	bytes protocol.Envelope     // guarded by mu
	addrs []multiaddr.Multiaddr // that it names; guarded by mu
	made  time.Time             // guarded by mu
	seq   uint64                // guarded by mu
}

// EnvelopeOf returns the newest signed peer record that a connected peer sent of
// itself; nil: it sent none, or serves nobody. A peer sends a new one to all
// connected peers as soon as its addresses change.
func (h *Host) EnvelopeOf(p peer.ID) protocol.Envelope {
	if !h.connected(p) {
		return nil
	}
	return h.book.envelopeOf(p)
}

// Envelope returns this peer's own signed peer record with the addresses of
// Addrs. Its sequence number is the time of signing in nanoseconds, so it
// grows over restarts; the same one is returned for an hour while the
// addresses stay.
func (h *Host) Envelope() (protocol.Envelope, error) {
	addrs, now, c := h.ownAddrs(), h.cfg.Now(), &h.envelope
	c.mu.Lock()
	defer c.mu.Unlock()
	same := slices.EqualFunc(addrs, c.addrs, func(a, b multiaddr.Multiaddr) bool { return a.Equal(b) })
	if c.bytes != nil && same && now.Sub(c.made) < envelopeAge {
		return slices.Clone(c.bytes), nil
	}
	seq := max(uint64(now.UnixNano()), c.seq+1)
	e, err := protocol.SealEnvelope(h.cfg.Key, seq, addrs)
	if err != nil {
		return nil, err
	}
	c.bytes, c.addrs, c.made, c.seq = e, addrs, now, seq
	return slices.Clone(e), nil
}
