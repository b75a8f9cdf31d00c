package neighbours

import (
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Loss says why a peer no longer holds a slot.
type Loss uint8

// The causes.
const (
	LostGone   Loss = 1 // it was silent for too long
	LostFailed Loss = 2 // it failed too many audits
	LostHanded Loss = 3 // it handed the slot over
)

// loseAll notes that a neighbour no longer holds its slots of a group.
// mu is held.
func (h *Register) loseAll(g *seats, p *neighbour, why Loss) {
	for i := range g.list {
		if s := &g.list[i]; s.who == p {
			h.unseat(g, s, why)
		}
	}
}

// moved notes that other peers hold a group's slots than before. mu is held.
func (h *Register) moved(g *seats) {
	g.dirty = true
	h.shifted[g.id] = struct{}{}
}

// TakeMoved returns the groups whose holders have changed since the last call.
func (h *Register) TakeMoved() []protocol.GroupID {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []protocol.GroupID
	for id := range h.shifted {
		out = append(out, id)
	}
	clear(h.shifted)
	return out
}

// Ask notes that a peer asked for a slot, and may have it: it is audited, and
// counts once it has passed. Where the slot is full, it replaces the seat with the
// least claim among those that do not ask for the slot, or ask while another holds
// it. If there is none, it replaces a peer that was audited in vain; named, the
// candidate that this node knows for the slot, replaces any peer that asks and gives
// way to none. Else Ask reports false. So a crowd of askers keeps nobody out.
func (h *Register) Ask(id protocol.GroupID, p peer.ID, slot int, named peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil || p == h.self || slot < 0 || slot >= g.profile.N {
		return false
	}
	s := h.sit(g, p, slot, func(s *seat) bool { return !s.asks || s.beside })
	if s == nil && g.evict(slot, func(s *seat) bool { return s.who.id != named && (s.tried || p == named) }) {
		s = h.sit(g, p, slot, func(s *seat) bool { return !s.asks })
	}
	if s == nil {
		return false
	}
	if !s.counts() {
		h.auditEntry(g, s)
	}
	return true
}

// auditEntry schedules the audit of a peer that asks for a slot, and may have it.
// mu is held.
func (h *Register) auditEntry(g *seats, s *seat) {
	if !s.asks || s.beside {
		s.tried = false
	}
	s.asks, s.beside, s.since, g.dirty = true, false, h.now().Unix(), true
	h.passNow(g)
}

// TriedInVain notes that a peer was audited for a slot that it asked for, and
// has proved nothing.
func (h *Register) TriedInVain(id protocol.GroupID, p peer.ID, slot int) {
	h.with(id, p, slot, func(_ *seats, s *seat) { s.tried = true })
}

// Prove notes that a peer passed this node's audit of a slot that it asked for.
func (h *Register) Prove(id protocol.GroupID, p peer.ID, slot int) {
	h.with(id, p, slot, func(g *seats, s *seat) {
		if s.counts() {
			return
		}
		for i := range g.list { // it is no spare of another slot any more
			o := &g.list[i]
			if o.who == s.who {
				o.asks, o.spare = false, false
			}
			if o.slot == s.slot {
				o.called = 0
			}
		}
		s.proven, s.after, s.lost, s.since = true, "", 0, h.now().Unix()
		h.enrol(s.who)
		s.audits.Record, s.audits.faults = s.audits.Readmitted(), nil
		g.relisted = true
		h.moved(g)
	})
}

// Disprove notes that a peer gave a false proof of a slot that it asked for.
func (h *Register) Disprove(id protocol.GroupID, p peer.ID, slot int) {
	h.with(id, p, slot, func(g *seats, s *seat) {
		if s.asks || s.spare {
			s.asks, s.spare, g.dirty = false, false, true
		}
	})
}

// Reject notes that a peer may not have a slot that it asked for.
func (h *Register) Reject(id protocol.GroupID, p peer.ID, slot int) {
	h.with(id, p, slot, func(g *seats, s *seat) {
		if s.asks {
			s.asks, g.dirty = false, true
		}
	})
}

// Hand notes which holder hands its slot over to a peer that asks for it; "": none.
func (h *Register) Hand(id protocol.GroupID, holder, to peer.ID, slot int) {
	h.with(id, to, slot, func(_ *seats, s *seat) {
		if s.asks {
			s.after = holder
		}
	})
}

// Handed returns the holder that hands its slot over to a peer that asks for it;
// "": none.
func (h *Register) Handed(id protocol.GroupID, to peer.ID, slot int) (by peer.ID) {
	h.with(id, to, slot, func(_ *seats, s *seat) { by = s.after })
	return by
}

// Lose notes that a peer no longer holds a slot, and why.
func (h *Register) Lose(id protocol.GroupID, p peer.ID, slot int, why Loss) {
	h.with(id, p, slot, func(g *seats, s *seat) { h.unseat(g, s, why) })
}

// unseat takes a slot from a peer that holds it, and the hope of one from any
// other. mu is held.
func (h *Register) unseat(g *seats, s *seat, why Loss) {
	if s.counts() {
		s.lost, s.since = why, h.now().Unix()
		h.moved(g)
	}
	if s.asks || s.spare {
		s.asks, s.spare, g.dirty = false, false, true
	}
}

// evict takes its place from a peer that asks for a slot: of those that may go, the
// one that asked first. It reports whether there was one.
func (g *seats) evict(slot int, mayGo func(*seat) bool) bool {
	var first *seat
	for i := range g.list {
		if s := &g.list[i]; int(s.slot) == slot && s.asks && !s.drawn && !s.counts() && mayGo(s) && (first == nil || s.since < first.since) {
			first = s
		}
	}
	if first == nil {
		return false
	}
	first.asks = false
	return true
}
