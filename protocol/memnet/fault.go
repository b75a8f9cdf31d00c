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
// cut holds back arrives when the link is whole again, unless a deadline comes
// first. A cut in either direction ends the connection and makes dialling time out.
func (n *Net) SetLink(from, to peer.ID, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[direction{from, to}] = l
	n.refresh()
}

// Partition cuts peers of different sets from one another, in both directions.
// Peers that no set names are one further set. It replaces an earlier partition.
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

// SetRule sets a function that says how what one peer sends reaches another,
// where it returns ok. It takes precedence over SetLink, and also holds for peers
// that come later. rule is called often, with the network's lock held, and must
// not change its answers until SetRule is called again; then all connections and
// open streams follow what it says by then, so links can flap. nil removes it.
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

// bend gives a peer's streams the present state of their links.
func (p *Peer) bend() {
	for s := range p.streams {
		p.net.bend(s)
	}
}

// bend gives a stream the present state of its two directions.
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
