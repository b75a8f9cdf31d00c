package neighbours

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// Who takes this node for a holder, as far as it can tell: by their answers to
// its requests to enter, and by their audits.

// AsksEntry notes that this node asks a peer to be taken for a holder.
func (h *Register) AsksEntry(id protocol.GroupID, p peer.ID) {
	h.withPeer(id, p, func(_ *seats, s *seat) { s.begged, s.beggedAt = true, h.mono() })
}

// AnswersEntry notes whether a peer lets this node have its slot, by its own word. A
// yes says that it will audit this node: where it does not, it is asked again, and
// the second yes counts.
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
// for a holder, as far as it can tell. Whom the owner drew all know.
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

// AsksBack reports whether this node is to ask a peer in turn that asks for a
// slot which it holds here: once in a while, or two would ask one another for
// ever.
func (h *Register) AsksBack(id protocol.GroupID, p peer.ID, slot int, again time.Duration) (asks bool) {
	h.with(id, p, slot, func(_ *seats, s *seat) {
		if (s.counts() || s.spare) && (!s.begged || h.mono()-s.beggedAt >= again) {
			s.begged, s.beggedAt, asks = true, h.mono(), true
		}
	})
	return asks
}
