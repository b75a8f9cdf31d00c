package neighbours

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/protocol"
)

// fault is a shard that a holder does not have, as this node has seen.
type fault struct {
	self bool          // the holder says so itself
	at   time.Duration // since when, on the watch
}

// Saw takes note of the outcome of one audit of a shard.
func (h *Register) Saw(id protocol.GroupID, p peer.ID, slot int, seg protocol.SegmentID, o audit.Outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	s := g.at(p, slot)
	if s == nil {
		return
	}
	now, a := h.moment(), &s.audits
	was, failed := a.faults[seg]
	var next audit.Next
	switch {
	case o == audit.OK && failed:
		a.Record = a.Mended(h.audit, now, was.self)
		delete(a.faults, seg)
	case failed: // it counts already
	default:
		a.Record, next = a.Saw(h.audit, now, o)
	}
	if o == audit.OK {
		s.who.proved, a.refusing = true, false
		h.dropLack(g, s, seg)
	}
	switch next {
	case audit.Again:
		if len(a.again) < maxAgain && !slices.Contains(a.again, seg) {
			a.again = append(a.again, seg)
		}
	case audit.Tell:
		a.fault(seg, fault{o == audit.Reported, now})
	}
	g.dirty = true
	h.judge(g, s, now)
}

// Excuse forgets the fault that a holder lacks a segment and says so itself: nobody
// need bring it now. The holder still counts as lacking it.
func (h *Register) Excuse(id protocol.GroupID, p peer.ID, slot int, seg protocol.SegmentID) {
	h.with(id, p, slot, func(g *seats, s *seat) {
		if f, known := s.audits.faults[seg]; known && f.self {
			s.audits.Record = s.audits.Dropped(true)
			delete(s.audits.faults, seg)
			h.addLack(g, s, seg)
			g.dirty = true
		}
	})
}

func (a *audits) fault(seg protocol.SegmentID, f fault) {
	if a.faults == nil {
		a.faults = make(map[protocol.SegmentID]fault)
	}
	a.faults[seg] = f
}

// judge takes a seat from a holder that has failed. mu is held.
func (h *Register) judge(g *seats, s *seat, now time.Duration) {
	if s.counts() && s.audits.Failed(h.audit, now) {
		h.unseat(g, s, LostFailed)
	}
}

// Refusal takes note that a holder refused to be audited, with which code, and
// reports whether that counts against it by now. Not at first: views differ,
// allowances are used up and lines are full. But a holder that has only refused for
// MendWithin counts as not having what it does not show. Where the owner did not draw
// this node, and the holder has never proved anything to it, the holder may not know
// this node as a member and so owe it nothing: CodeDisputed is then tolerated for
// ProofFor.
func (h *Register) Refusal(id protocol.GroupID, p peer.ID, slot int, code protocol.Code) (counts bool) {
	h.with(id, p, slot, func(g *seats, s *seat) {
		now, a := h.moment(), &s.audits
		if !a.refusing {
			a.refusing, a.refused = true, now
		}
		borne := h.audit.MendWithin
		if code == protocol.CodeDisputed && !g.mine && !a.Proved {
			borne = h.audit.ProofFor
		}
		counts = now-a.refused >= borne
	})
	return counts
}

// ForgetFaults forgets faults of segments that are no longer held here, and
// confessions that count no longer, and judges the group's holders.
func (h *Register) ForgetFaults(id protocol.GroupID, held func(protocol.SegmentID) bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	now := h.moment()
	for i := range g.list {
		s := &g.list[i]
		for seg, until := range s.confessed {
			if now >= until {
				h.dropConfession(g, s, seg)
			}
		}
		for seg, f := range s.audits.faults {
			if !held(seg) {
				s.audits.Record = s.audits.Dropped(f.self)
				delete(s.audits.faults, seg)
				g.dirty = true
			}
		}
		h.judge(g, s, now)
	}
}
