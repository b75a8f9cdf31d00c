package neighbours

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Members that were off at the wrong moment let different peers into one slot.
// Each of these is unknown to half of the group, and must know all of it
// nevertheless: who does not know a holder makes its shards again. So a peer that
// proves a slot which another holds is a spare: it has no part in the group's
// lots and health, but may audit this node as a member does, and so let it in.

// stranger reports whether a peer has no claim on the group: it has never proved
// anything, and asks for no slot, or for one that another holds.
func (s *seat) stranger() bool {
	return !s.drawn && !s.proven && !s.spare && (!s.asks || s.beside)
}

// AskBeside notes that a peer asked for a slot that another holds: it is audited,
// so as to be known for a spare, and again when that proof grows old. It reports
// false where there is no room for it: it takes nobody's place who has proved
// something, has one place in the group, waits for the next pass as all do, and is
// audited once a day, for anybody may ask so.
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

// provedWithin reports whether a peer passed an audit so lately.
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

// CallSpares has the spares of vacant slots audited as if they had asked for
// these now, once, and returns the slots for which no candidate is to be drawn
// meanwhile: for an hour.
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
