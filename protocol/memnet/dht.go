package memnet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"iter"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// As in the real DHT.
const (
	recordLife    = 48 * time.Hour   // how long a claim lives after its peer stopped renewing it
	closestPeers  = 20               // how many peers a lookup of a key yields
	lookupHops    = 3                // round trips of a lookup
	lookupTimeout = 10 * time.Second // of a lookup that nobody answers
)

// claim is a peer's statement that it provides a key.
type claim struct {
	by        *Peer
	withdrawn time.Time // zero: renewed while the peer is up
}

func (c *claim) live(now time.Time) bool {
	last := c.withdrawn
	if last.IsZero() && !c.by.up {
		last = c.by.downAt
	}
	return last.IsZero() || now.Before(last.Add(recordLife))
}

// Forge makes lookups of key yield ids first, none of which ever announced it.
// Those that are peers of the network can be dialled.
func (n *Net) Forge(key protocol.Key, ids ...peer.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forged[key] = append(n.forged[key], ids...)
}

// SilenceDHT makes lookups wait in vain for an answer, or ends that.
func (n *Net) SilenceDHT(silent bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.silent = silent
}

// Announce makes lookups of keys yield this peer, once it knows any other. The
// claim outlives the peer's last renewal by 48 hours, as in the real DHT.
func (p *Peer) Announce(keys ...protocol.Key) error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.closed {
		return errStopped
	}
	for _, k := range keys {
		if c := p.net.claim(k, p); c != nil {
			c.withdrawn = time.Time{}
			continue
		}
		p.net.claims[k] = append(p.net.claims[k], &claim{by: p})
	}
	return nil
}

// Withdraw stops renewing claims.
func (p *Peer) Withdraw(keys ...protocol.Key) error {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	for _, k := range keys {
		if c := p.net.claim(k, p); c != nil && c.withdrawn.IsZero() {
			c.withdrawn = time.Now()
		}
	}
	return nil
}

func (n *Net) claim(k protocol.Key, by *Peer) *claim {
	n.prune(k)
	for _, c := range n.claims[k] {
		if c.by.id == by.id {
			c.by = by
			return c
		}
	}
	return nil
}

// prune drops claims that nobody can renew any more.
func (n *Net) prune(k protocol.Key) {
	now := time.Now()
	rest := slices.DeleteFunc(n.claims[k], func(c *claim) bool { return !c.live(now) && (c.by.closed || !c.withdrawn.IsZero()) })
	if len(rest) == 0 {
		delete(n.claims, k)
		return
	}
	n.claims[k] = rest
}

// Providers yields forged claims first, then the others in random order, each
// peer once and with its address learned. A peer that is alone finds nothing.
func (p *Peer) Providers(ctx context.Context, key protocol.Key) iter.Seq[peer.ID] {
	return func(yield func(peer.ID) bool) {
		if answered, err := p.lookup(ctx); err != nil || !answered {
			return
		}
		for _, id := range p.providers(key) {
			if ctx.Err() != nil || !yield(id) {
				return
			}
		}
	}
}

func (p *Peer) providers(key protocol.Key) []peer.ID {
	n := p.net
	n.mu.Lock()
	defer n.mu.Unlock()
	n.prune(key)
	now := time.Now()
	var ids []peer.ID
	for _, c := range n.claims[key] {
		if c.live(now) && len(c.by.book) > 0 {
			ids = append(ids, c.by.id)
			p.learn(c.by.AddrInfo())
		}
	}
	p.opened[p.id]++ // nobody opens a stream to itself: it counts lookups
	shuffle(ids, n.chance(p.id, p.id, p.opened[p.id]))
	forged := n.forged[key]
	for _, id := range forged {
		if q := n.peers[id]; q != nil {
			p.learn(q.AddrInfo())
		}
	}
	seen := map[peer.ID]bool{p.id: true}
	return slices.DeleteFunc(slices.Concat(forged, ids), func(id peer.ID) bool {
		again := seen[id]
		seen[id] = true
		return again
	})
}

// Closest returns the DHT servers that are up, within reach and nearest to key,
// with their addresses learned; if no server answers, it returns what Known does.
func (p *Peer) Closest(ctx context.Context, key protocol.Key) ([]peer.ID, error) {
	answered, err := p.lookup(ctx)
	if err != nil {
		return nil, err
	}
	if !answered {
		return p.Known(), nil
	}
	n := p.net
	n.mu.Lock()
	defer n.mu.Unlock()
	var near []*Peer
	for _, q := range n.peers {
		if q != p && p.reaches(q) {
			near = append(near, q)
		}
	}
	slices.SortFunc(near, func(a, b *Peer) int { return nearer(key, a.place, b.place) })
	near = near[:min(len(near), closestPeers)]
	ids := make([]peer.ID, len(near))
	for i, q := range near {
		ids[i] = q.id
		p.learn(q.AddrInfo())
	}
	return ids, nil
}

// lookup takes as long as a lookup, and reports whether any server answered.
func (p *Peer) lookup(ctx context.Context) (answered bool, err error) {
	if err := p.awake(ctx); err != nil {
		return false, err
	}
	n := p.net
	n.mu.Lock()
	silent, up, alone := n.silent, p.up, !p.joined()
	n.mu.Unlock()
	switch {
	case !up:
		return false, errStopped
	case alone:
		return false, ctx.Err()
	case silent:
		protocol.Sleep(ctx, lookupTimeout)
		return false, ctx.Err()
	}
	protocol.Sleep(ctx, 2*lookupHops*n.cfg.Latency)
	return true, ctx.Err()
}

// joined reports whether this peer knows a server that would answer.
func (p *Peer) joined() bool {
	for id := range p.book {
		if q := p.net.peers[id]; q != nil && p.reaches(q) {
			return true
		}
	}
	return false
}

func (p *Peer) reaches(q *Peer) bool {
	return q.up && q.cfg.Server && !q.frozen && !p.net.cut(p.id, q.id) && !p.net.cut(q.id, p.id)
}

// dhtPlace is where the DHT puts a peer.
func dhtPlace(id peer.ID) [32]byte { return sha256.Sum256([]byte(id)) }

// nearer orders two places by their XOR distance from key.
func nearer(key protocol.Key, a, b [32]byte) int {
	for i := range key {
		a[i] ^= key[i]
		b[i] ^= key[i]
	}
	return bytes.Compare(a[:], b[:])
}

func shuffle(ids []peer.ID, chance *rand.Rand) {
	chance.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
}
