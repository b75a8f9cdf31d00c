package memnet

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// maxAddrs bounds the addresses remembered of one peer.
const maxAddrs = 16

// contact is what a peer remembers of another.
type contact struct {
	addrs   []multiaddr.Multiaddr // newest first
	spoken  uint64                // Net.tick of the last stream; 0: never
	learned uint64                // order in which it became known
}

// Learn remembers addresses of a peer.
func (p *Peer) Learn(info peer.AddrInfo) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.learn(info)
}

func (p *Peer) learn(info peer.AddrInfo) {
	if info.ID == p.id || info.ID == "" {
		return
	}
	c := p.contact(info.ID)
	for _, a := range info.Addrs {
		if a, _ = peer.SplitAddr(a); a == nil {
			continue
		}
		c.addrs = slices.DeleteFunc(c.addrs, a.Equal)
		c.addrs = slices.Insert(c.addrs, 0, a)
	}
	c.addrs = c.addrs[:min(len(c.addrs), maxAddrs)]
}

func (p *Peer) contact(id peer.ID) *contact {
	c := p.book[id]
	if c == nil {
		p.learned++
		c = &contact{learned: p.learned}
		p.book[id] = c
	}
	return c
}

// Known returns all peers heard of: the most recently spoken to first, then
// the others as they became known.
func (p *Peer) Known() []peer.ID {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	out := make([]peer.ID, 0, len(p.book))
	for id := range p.book {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b peer.ID) int {
		x, y := p.book[a], p.book[b]
		if x.spoken != y.spoken {
			return compare(y.spoken, x.spoken)
		}
		return compare(x.learned, y.learned)
	})
	return out
}

func compare(a, b uint64) int {
	if a < b {
		return -1
	}
	return 1
}

// RemoteAddr returns the address at which a connected peer is seen.
func (p *Peer) RemoteAddr(id peer.ID) (addr multiaddr.Multiaddr, relayed, connected bool) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	q := p.net.peers[id]
	if _, ok := p.conns[id]; !ok || q == nil {
		return nil, false, false
	}
	return q.cfg.Addr, q.relayed, true
}

func isCircuit(a multiaddr.Multiaddr) bool {
	_, err := a.ValueForProtocol(multiaddr.P_CIRCUIT)
	return err == nil
}

// connect notes that two peers speak; the caller holds net.mu.
func (n *Net) connect(a, b *Peer) {
	n.tick++
	for _, x := range [...][2]*Peer{{a, b}, {b, a}} {
		x[0].conns[x[1].id] = struct{}{}
		x[0].contact(x[1].id).spoken = n.tick
	}
}
