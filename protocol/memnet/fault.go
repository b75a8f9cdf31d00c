package memnet

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Link says how what one peer sends reaches another. The zero Link is perfect.
type Link struct {
	Latency time.Duration
	Jitter  time.Duration
	Loss    float64 // as in Config
	Cut     bool    // nothing arrives; senders fill the window and wait
}

// random reports whether something of it is left to chance.
func (l Link) random() bool { return l.Jitter > 0 || l.Loss > 0 }

// SetLink sets one direction between two peers, for open streams too. What a
// cut holds back arrives when it is mended, unless a deadline came first. A cut
// in either direction ends the connection and makes dialling time out.
func (n *Net) SetLink(from, to peer.ID, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[direction{from, to}] = l
	n.refresh()
}

// Partition cuts peers of different sets from one another, in both directions.
// Peers that no set names make up one set more. It replaces an earlier one.
func (n *Net) Partition(sets ...[]peer.ID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.part = make(map[peer.ID]int)
	for i, set := range sets {
		for _, id := range set {
			n.part[id] = i + 1
		}
	}
	n.refresh()
}

// SetRule has a function say how what one peer sends reaches another, wherever
// it knows (ok); it goes before SetLink, and holds for peers that come later,
// too. Setting one again makes all connections and open streams follow what it
// says by then: that is how links flap. rule is called with the network's lock
// held, often, and must always say the same until then. nil takes it away.
func (n *Net) SetRule(rule func(from, to peer.ID) (l Link, ok bool)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.rule = rule
	n.refresh()
}

// Heal ends the partition and all that SetLink and SetRule set.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.part, n.rule = nil, nil
	clear(n.links)
	n.refresh()
}

func (n *Net) link(from, to peer.ID) Link {
	if n.rule != nil {
		if l, ok := n.rule(from, to); ok {
			return l
		}
	}
	if len(n.links) > 0 {
		if l, ok := n.links[direction{from, to}]; ok {
			return l
		}
	}
	return Link{Latency: n.cfg.Latency, Jitter: n.cfg.Jitter, Loss: n.cfg.Loss}
}

func (n *Net) cut(from, to peer.ID) bool {
	return n.part != nil && n.part[from] != n.part[to] || n.link(from, to).Cut
}

// refresh makes connections and open streams follow what changed.
func (n *Net) refresh() {
	for _, p := range n.peers {
		p.disconnect(func(id peer.ID) bool { return n.cut(p.id, id) || n.cut(id, p.id) })
		p.bend()
	}
}

// bend tells a peer's streams how things are now.
func (p *Peer) bend() {
	for s := range p.streams {
		p.net.bend(s)
	}
}

// bend tells a stream how its two directions are now.
func (n *Net) bend(s *pair) {
	a, b := s.ends[0].owner, s.ends[1].owner
	frozen := a.frozen || b.frozen
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, d := range [...]direction{{a.id, b.id}, {b.id, a.id}} {
		s.lanes[i].link = n.link(d.from, d.to)
		if s.lanes[i].chance == nil && s.lanes[i].link.random() { // it was perfect when it was opened
			s.lanes[i].chance = n.chance(d.from, d.to, 1<<63)
		}
		s.lanes[i].held = frozen || n.cut(d.from, d.to)
	}
	s.changed()
}
