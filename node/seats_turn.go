package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// loss says why a peer holds a slot no more.
type loss uint8

const (
	lostGone   loss = 1 // it was silent for too long
	lostFailed loss = 2 // it failed too many audits
	lostHanded loss = 3 // it handed the slot over
)

// loseAll notes that a neighbour holds its slots of a group no more.
// mu is held.
func (h *neighbours) loseAll(g *seats, p *neighbour, why loss) {
	for i := range g.list {
		if s := &g.list[i]; s.who == p && s.lost == 0 {
			s.lost, s.asks, s.since = why, false, h.now().Unix()
			h.moved(g)
		}
	}
}

// moved notes that other peers hold a group's slots than before. mu is held.
func (h *neighbours) moved(g *seats) {
	g.dirty = true
	h.shifted[g.id] = struct{}{}
}

// takeMoved returns the groups whose holders have changed since this was last
// asked.
func (h *neighbours) takeMoved() []protocol.GroupID {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []protocol.GroupID
	for id := range h.shifted {
		out = append(out, id)
	}
	clear(h.shifted)
	return out
}

// ask notes that a peer asked for a slot, and may have it: it is audited, and
// counts once it has passed. It reports false where too many ask: then those give
// way who were audited in vain, and all to named, the candidate that this node
// knows for the slot. A crowd of askers keeps nobody out.
func (h *neighbours) ask(id protocol.GroupID, p peer.ID, slot int, named peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil || p == h.self || slot < 0 || slot >= g.profile.N {
		return false
	}
	s := h.sit(g, p, slot)
	if s == nil && g.evict(slot, func(s *seat) bool { return s.who.id != named && (s.tried || p == named) }) {
		s = h.sit(g, p, slot)
	}
	if s == nil {
		return false
	}
	if !s.counts() {
		if !s.asks {
			s.tried = false
		}
		s.asks, s.since, g.dirty = true, h.now().Unix(), true
		h.passNow(g)
	}
	return true
}

// asksEntry notes that this node asks a peer to be taken for a holder.
func (h *neighbours) asksEntry(id protocol.GroupID, p peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.of(p); s != nil {
			s.begged, s.beggedAt = true, h.mono()
		}
	}
}

// convinced notes that this node proved a shard to a peer.
func (h *neighbours) convinced(id protocol.GroupID, p peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.of(p); s != nil && !s.knows {
			s.knows, g.dirty = true, true
		}
	}
}

// doubt notes that a peer may have let this node's seats go. mu is held.
func (h *neighbours) doubt(p *neighbour) {
	for _, g := range p.shared {
		if s := g.of(p.id); s != nil && s.knows {
			s.knows, g.dirty = false, true
		}
	}
}

// asksBack reports whether this node is to ask a peer in turn that asks for a
// slot which it holds here: once in a while, or two would ask one another for
// ever.
func (h *neighbours) asksBack(id protocol.GroupID, p peer.ID, slot int, again time.Duration) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return false
	}
	s := g.at(p, slot)
	if s == nil || !s.counts() || s.begged && h.mono()-s.beggedAt < again {
		return false
	}
	s.begged, s.beggedAt = true, h.mono()
	return true
}

// evict takes the place of one that asks for a slot, the first that asked of
// those that may go; it reports whether there was one.
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

// triedInVain notes that a peer was audited for a slot that it asked for, and
// has proved nothing.
func (h *neighbours) triedInVain(id protocol.GroupID, p peer.ID, slot int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(p, slot); s != nil {
			s.tried = true
		}
	}
}

// prove notes that a peer passed this node's audit of a slot that it asked for.
func (h *neighbours) prove(id protocol.GroupID, p peer.ID, slot int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	if s := g.at(p, slot); s != nil && !s.counts() {
		s.proven, s.asks, s.after, s.lost, s.since = true, false, "", 0, h.now().Unix()
		s.audits.Record, s.audits.faults = s.audits.Readmitted(), nil
		h.moved(g)
	}
}

// hand notes who hands a slot over to a peer that asks for it; "": nobody.
func (h *neighbours) hand(id protocol.GroupID, holder, to peer.ID, slot int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(to, slot); s != nil && s.asks {
			s.after = holder
		}
	}
}

// handed reports who handed a slot over to a peer that asks for it; "": nobody.
func (h *neighbours) handed(id protocol.GroupID, to peer.ID, slot int) peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(to, slot); s != nil {
			return s.after
		}
	}
	return ""
}

// reject notes that a peer failed the audit of a slot that it asked for.
func (h *neighbours) reject(id protocol.GroupID, p peer.ID, slot int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(p, slot); s != nil && s.asks {
			s.asks, g.dirty = false, true
		}
	}
}

// lose notes that a peer holds a slot no more, and why.
func (h *neighbours) lose(id protocol.GroupID, p peer.ID, slot int, why loss) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(p, slot); s != nil && s.lost == 0 {
			s.lost, s.asks, s.since = why, false, h.now().Unix()
			h.moved(g)
		}
	}
}
