package neighbours

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// Which peers take this node for a holder, as far as it can tell from their
// answers to its requests to enter, and from their audits.

// AsksEntry notes that this node asks a peer to be taken for a holder.
func (h *Register) AsksEntry(id protocol.GroupID, p peer.ID) {
	h.withPeer(id, p, func(_ *seats, s *seat) { s.begged, s.beggedAt = true, h.mono() })
}

// AnswersEntry notes whether a peer says that it lets this node have its slot. A
// yes says that it will audit this node. If it does not, it is asked again, and a
// second yes counts by itself.
func (h *Register) AnswersEntry(id protocol.GroupID, p peer.ID, yes bool) {
	h.withPeer(id, p, func(g *seats, s *seat) {
		knows := yes && (s.knows || s.agreed)
		if s.knows != knows || s.refuses == yes {
			s.knows, s.refuses, g.dirty = knows, !yes, true
		}
		s.agreed = yes
	})
}

// Convinced notes that this node proved a shard to a peer: it takes this node for
// a holder, unless it said that it sees another in the slot.
func (h *Register) Convinced(id protocol.GroupID, p peer.ID) {
	h.withPeer(id, p, func(g *seats, s *seat) {
		if !s.knows && !s.refuses {
			s.knows, g.dirty = true, true
		}
	})
}

// Ignored notes that a peer told this node that it is no member there.
func (h *Register) Ignored(id protocol.GroupID, p peer.ID) {
	h.withPeer(id, p, func(g *seats, s *seat) {
		if s.agreed = false; s.knows {
			s.knows, g.dirty = false, true
		}
	})
}

// doubt notes that a peer may have let this node's seats go. mu is held.
func (h *Register) doubt(p *neighbour) {
	for _, g := range p.shared {
		if s := g.of(p.id); s != nil {
			if s.agreed = false; s.knows {
				s.knows, g.dirty = false, true
			}
		}
	}
}

// Ignorant returns the members of a group that answer and do not take this node
// for a holder, as far as it can tell: none where the owner drew this node.
func (h *Register) Ignorant(id protocol.GroupID) (out []peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil || g.mine {
		return nil
	}
	for i := range g.list {
		if s := &g.list[i]; s.counts() && !s.knows && s.who.state == liveness.Present {
			out = append(out, s.who.id)
		}
	}
	return out
}

// AsksBack reports whether this node is to ask back a peer that asks for a slot
// which this node already knows it to hold, or to be a spare for: only once in a
// while, or the two would ask one another for ever.
func (h *Register) AsksBack(id protocol.GroupID, p peer.ID, slot int, again time.Duration) (asks bool) {
	h.with(id, p, slot, func(_ *seats, s *seat) {
		if (s.counts() || s.spare) && (!s.begged || h.mono()-s.beggedAt >= again) {
			s.begged, s.beggedAt, asks = true, h.mono(), true
		}
	})
	return asks
}
