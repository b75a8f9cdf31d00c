package neighbours

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Members that are off at the wrong moment let different peers into one slot.
// Half of the group does not know each of these, and yet each must know all of the
// group: a node that does not know a holder makes its shards again. So a peer that
// proves a slot which another holds is a spare: it has no part in the group's
// lots and health, but may audit this node as a member does, and so come to know it.

// stranger reports whether a peer has no claim on the group: it has never proved
// anything, and asks for no slot, or for one that another holds.
func (s *seat) stranger() bool {
	return !s.drawn && !s.proven && !s.spare && (!s.asks || s.beside)
}

// AskBeside notes that a peer asked for a slot that another holds: it is audited,
// so that it becomes a spare, and again when that proof grows old. It reports false
// where there is no room for it. Anybody may ask so; therefore it never takes the
// place of a peer that has proved something, has one place in the group, waits for
// the next pass, and is audited once a day.
func (h *Register) AskBeside(id protocol.GroupID, p peer.ID, slot int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil || p == h.self || slot < 0 || slot >= g.profile.N {
		return false
	}
	if o := g.of(p); o != nil && int(o.slot) != slot && o.asks {
		return false
	}
	s := h.sit(g, p, slot, (*seat).idle)
	if s == nil {
		return false
	}
	fresh := s.spare && s.provedWithin(h.moment(), h.audit.ProofFor/2)
	lately := s.asks && s.beside && h.now().Sub(time.Unix(s.since, 0)) < h.audit.SampleEvery
	if !s.counts() && !fresh && !lately {
		s.asks, s.beside, s.tried, s.since = true, true, false, h.now().Unix()
	}
	return true
}

// idle reports whether a peer at a slot has proved nothing, and is not about to.
func (s *seat) idle() bool { return s.stranger() && (!s.asks || s.tried) }

// provedWithin reports whether a peer passed an audit within the last d.
func (s *seat) provedWithin(now, d time.Duration) bool {
	return s.audits.Proved && now-s.audits.ProvedAt <= d
}

// ProveBeside notes that a peer passed this node's audit of a slot that another
// holds.
func (h *Register) ProveBeside(id protocol.GroupID, p peer.ID, slot int) {
	h.with(id, p, slot, func(g *seats, s *seat) {
		if !s.counts() {
			s.spare, s.called, s.asks, s.after, g.dirty = true, 0, false, "", true
		}
	})
}

// CallSpares schedules an audit of each spare of a vacant slot, once, as if it had
// asked for the slot now. It returns the slots for which no candidate is to be drawn
// meanwhile: for RetryEvery.
func (h *Register) CallSpares(id protocol.GroupID, vacant group.Set) (called group.Set) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return called
	}
	now := max(h.mono(), 1)
	for i := range g.list {
		s := &g.list[i]
		if !s.spare || s.counts() || s.who.state != liveness.Present || !vacant.Has(int(s.slot)) {
			continue
		}
		if s.called == 0 {
			s.called = now
			h.auditEntry(g, s)
		}
		if now-s.called < h.set.RetryEvery {
			called.Add(int(s.slot))
		}
	}
	return called
}
