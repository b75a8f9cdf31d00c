package p2p

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

const (
	maxContacts     = 1024 // peers remembered while running
	maxContactAddrs = protocol.MaxEnvelopeAddrs
)

// book remembers peers that serve: where they were reached, and when they were
// last spoken to. It is bounded, the longest silent are forgotten first.
type book struct {
	mu    sync.Mutex
	known map[peer.ID]*contact // guarded by mu
	dirty bool                 // something to save; guarded by mu
	wake  chan struct{}        // holds one while dirty
}

type contact struct {
	addrs  []multiaddr.Multiaddr // the newest first
	sure   map[string]bool       // those of addrs, in bytes, that are more than hints
	seen   time.Time             // last spoken to; zero: never
	serves bool                  // spoke our protocol; only these are saved and told
	pinned bool                  // given by the user: never forgotten
	signed protocol.Envelope     // its newest signed record of its addresses; nil: none; not saved
}

func newBook() *book {
	return &book{known: make(map[peer.ID]*contact), wake: make(chan struct{}, 1)}
}

// get returns a peer's entry, making one if there is none. The caller holds mu.
func (b *book) get(p peer.ID) *contact {
	c := b.known[p]
	if c == nil {
		if len(b.known) >= maxContacts {
			b.forgetOne()
		}
		c = &contact{sure: make(map[string]bool)}
		b.known[p] = c
	}
	return c
}

func (b *book) forgetOne() {
	var oldest peer.ID
	for p, c := range b.known {
		if c.pinned {
			continue
		}
		if o := b.known[oldest]; o == nil || c.seen.Before(o.seen) {
			oldest = p
		}
	}
	delete(b.known, oldest)
}

// addresses puts addrs in front of those known. The caller holds mu.
func (c *contact) addresses(addrs []multiaddr.Multiaddr, sure bool) (changed bool) {
	for _, a := range slices.Backward(addrs) {
		if sure && !c.sure[string(a.Bytes())] {
			c.sure[string(a.Bytes())] = true
			changed = true
		}
		if i := slices.IndexFunc(c.addrs, a.Equal); i >= 0 {
			c.addrs = slices.Delete(c.addrs, i, i+1)
		} else {
			changed = true
		}
		c.addrs = slices.Insert(c.addrs, 0, a)
	}
	for len(c.addrs) > maxContactAddrs {
		c.drop()
	}
	return changed
}

// drop forgets the oldest hint, or the oldest address if none is a hint. The
// caller holds mu.
func (c *contact) drop() {
	i := len(c.addrs) - 1
	for i > 0 && c.sure[string(c.addrs[i].Bytes())] {
		i--
	}
	if c.sure[string(c.addrs[i].Bytes())] {
		i = len(c.addrs) - 1
	}
	delete(c.sure, string(c.addrs[i].Bytes()))
	c.addrs = slices.Delete(c.addrs, i, i+1)
}

// trust notes addresses that the user gave (pinned) or that were found on the
// local network.
func (b *book) trust(info peer.AddrInfo, pinned bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.get(info.ID)
	c.pinned = c.pinned || pinned
	c.addresses(info.Addrs, true)
}

// serving notes that a peer speaks our protocol, at addresses that it names
// itself and, if not nil, one at which it was reached.
func (b *book) serving(p peer.ID, named []multiaddr.Multiaddr, reached multiaddr.Multiaddr, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.get(p)
	changed := !c.serves
	c.serves, c.seen = true, now
	changed = c.addresses(named[:min(len(named), maxContactAddrs)], false) || changed
	if reached != nil {
		changed = c.addresses([]multiaddr.Multiaddr{reached}, true) || changed
	}
	if changed {
		b.touch()
	}
}

// touch asks for a save. The caller holds mu.
func (b *book) touch() {
	b.dirty = true
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

// spoke notes that a peer known to serve was just spoken to.
func (b *book) spoke(p peer.ID, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.known[p]; c != nil {
		c.seen = now
	}
}

// signed keeps a peer's own signed record of its addresses, if it serves.
func (b *book) signed(p peer.ID, e protocol.Envelope) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.known[p]; c != nil && c.serves && len(e) <= protocol.MaxEnvelope {
		c.signed = e
	}
}

func (b *book) envelopeOf(p peer.ID) protocol.Envelope {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.known[p]; c != nil {
		return c.signed
	}
	return nil
}

// stopped notes that a peer no longer serves.
func (b *book) stopped(p peer.ID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.known[p]; c != nil && c.serves {
		c.serves = false
		b.touch()
	}
}

// isSure reports whether an address of a peer is more than a hint. If the user
// gave a DNS name for the peer, every address is: the name may stand for any.
func (b *book) isSure(p peer.ID, a multiaddr.Multiaddr) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	c := b.known[p]
	if c == nil {
		return false
	}
	if c.sure[string(a.Bytes())] {
		return true
	}
	return c.pinned && slices.ContainsFunc(c.addrs, func(k multiaddr.Multiaddr) bool {
		_, isIP := addrIP(k)
		return !isIP && c.sure[string(k.Bytes())]
	})
}

// any reports whether is holds for some address of some peer.
func (b *book) any(is func(multiaddr.Multiaddr) bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.known {
		if slices.ContainsFunc(c.addrs, is) {
			return true
		}
	}
	return false
}

// addrs returns the addresses remembered of a peer.
func (b *book) addrs(p peer.ID) []multiaddr.Multiaddr {
	b.mu.Lock()
	defer b.mu.Unlock()
	if c := b.known[p]; c != nil {
		return slices.Clone(c.addrs)
	}
	return nil
}

// peers returns the peers that serve, the most recently spoken to first.
func (b *book) peers() []peer.ID {
	b.mu.Lock()
	defer b.mu.Unlock()
	ids := slices.DeleteFunc(slices.Collect(maps.Keys(b.known)), func(p peer.ID) bool { return !b.known[p].serves })
	slices.SortFunc(ids, func(x, y peer.ID) int {
		if c := b.known[y].seen.Compare(b.known[x].seen); c != 0 {
			return c
		}
		return slices.Compare([]byte(x), []byte(y))
	})
	return ids
}
