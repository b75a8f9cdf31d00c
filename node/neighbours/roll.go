package neighbours

import (
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Roll is one group as the rules of package group take it: this node's table
// and what it makes of the others, at one moment. It is a copy and does not show
// what changes later.
type Roll struct {
	ID     protocol.GroupID
	Table  *group.Seats // Held: those that count as holders, this node among them; Former: those that no longer do
	View   group.View
	Keys   []group.Key // of table.Held, by index
	Self   int         // this node's index
	Drawn  bool        // the owner's table names this node
	Living group.Set   // those that answer, this node among them
	Knows  int         // how many of these take this node for a holder
	Missed group.Set   // those that did not answer the last message
	Lastly int64       // Unix seconds: when a slot was last found to have lost its holder; 0: none has
	Lack   map[protocol.SegmentID]group.Set

	of    []protocol.SegmentID // the segments for which Lack says who lacks them
	ofAll bool                 // it says so for all
}

// Accepted reports whether this node counts as a member to most, as far as it
// can tell: the owner drew it, or most of those that answer take it for one, and
// they are enough to repair with. Until then it knows little of the others that
// came by proof, as they do of it: every slot whose drawn holder is gone would
// look vacant to it, and it would draw ever more candidates.
func (r *Roll) Accepted() bool {
	return r.Drawn || 2*r.Knows >= r.Living.Count()-1 && r.Knows+1 >= r.Table.Profile.K
}

// Lacking returns the holders that lack a segment, as they say themselves or as
// this node's audits found.
func (r *Roll) Lacking(s protocol.SegmentID) group.Set { return r.Lack[s] }

// Roll returns a group's roll; nil: the group is not held here.
func (h *Register) Roll(id protocol.GroupID) *Roll {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.roll(id, &Roll{ofAll: true})
}

// RollFor is Roll for callers that need to know who lacks some segments only, or
// none: listing this for all takes milliseconds, too much for a small request. Of
// other segments it says that nobody lacks them.
func (h *Register) RollFor(id protocol.GroupID, segments ...protocol.SegmentID) *Roll {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.roll(id, &Roll{of: segments})
}

// roll fills a roll in. mu is held.
func (h *Register) roll(id protocol.GroupID, r *Roll) *Roll {
	g := h.groups[id]
	if g == nil {
		return nil
	}
	now := h.moment()
	private := h.private()
	r.ID, r.Table, r.Self, r.Drawn = id, h.drawn(g, private), -1, g.mine
	own := group.Seat{Slot: uint8(g.own), Peer: h.self, Key: h.key}
	for i := 0; i <= len(g.list); i++ {
		if r.Self < 0 && (i == len(g.list) || int(g.list[i].slot) > g.own) {
			r.Self = len(r.Table.Held)
			r.Living.Add(r.Self)
			r.Table.Held = append(r.Table.Held, own)
		}
		if i < len(g.list) {
			r.add(h, &g.list[i], private, now)
		}
	}
	r.addOwn(g)
	r.Keys = r.Table.Keys()
	return r
}

// drawn returns a table without holders that allows as much crowding as the
// owner's table has: that bounds who may come in. mu is held.
func (h *Register) drawn(g *seats, private bool) *group.Seats {
	if c := &g.crowd; !c.known || c.private != private {
		t := h.ownersTable(g, private)
		*c = crowd{true, private, t.Same, t.Near}
	}
	return &group.Seats{Profile: g.profile, Same: g.crowd.same, Near: g.crowd.near, Held: make([]group.Seat, 0, len(g.list)+1)}
}

// ownersTable returns the table that the owner signed. mu is held.
func (h *Register) ownersTable(g *seats, private bool) *group.Seats {
	holders := make([]peer.ID, g.profile.N)
	domains := make(map[peer.ID]group.Domain, g.profile.N)
	for i := range g.list {
		if s := &g.list[i]; s.drawn {
			holders[s.slot] = s.who.id
			domains[s.who.id] = s.who.domain(private)
		}
	}
	return group.NewSeats(g.profile, holders, func(id peer.ID) group.Domain { return domains[id] })
}

func (p *neighbour) domain(private bool) group.Domain {
	c := p.candidate()
	if !private && !c.Addr.IsValid() && c.Relay == "" {
		return group.Domain{} // not seen yet
	}
	return c.Domain(private)
}

// add takes one seat into the roll.
func (r *Roll) add(h *Register, s *seat, private bool, now time.Duration) {
	x := group.Seat{Slot: s.slot, Peer: s.who.id, Key: s.who.key, Domain: s.who.domain(private), Drawn: s.drawn}
	if !s.counts() {
		if s.lost != 0 {
			r.Lastly = max(r.Lastly, s.since)
		}
		if s.drawn || s.proven {
			r.Table.Former = append(r.Table.Former, x)
		}
		return
	}
	i := len(r.Table.Held)
	r.Table.Held = append(r.Table.Held, x)
	s.who.standing.Mark(h.set, &r.View, i)
	s.audits.Mark(h.audit, now, &r.View, i)
	if r.View.Living.Has(i) {
		r.Living.Add(i)
		if s.knows {
			r.Knows++
		}
	}
	if s.who.standing.Fails > 0 {
		r.Missed.Add(i)
	}
	r.addLacks(s, i, now)
}

// addOwn notes what this node itself lacks.
func (r *Roll) addOwn(g *seats) {
	for _, seg := range r.of {
		if _, lacks := g.without[seg]; lacks {
			r.Lacks(seg, r.Self)
		}
	}
	if r.ofAll {
		for seg := range g.without {
			r.Lacks(seg, r.Self)
		}
	}
}

// addLacks notes what a holder lacks.
func (r *Roll) addLacks(s *seat, i int, now time.Duration) {
	for _, seg := range r.of {
		if s.lacksNow(seg, now) {
			r.Lacks(seg, i)
		}
	}
	if !r.ofAll {
		return
	}
	for seg := range s.lacks {
		r.Lacks(seg, i)
	}
	for seg := range s.audits.faults {
		r.Lacks(seg, i)
	}
	for seg, until := range s.confessed {
		if now < until {
			r.Lacks(seg, i)
		}
	}
}

// lacksNow reports whether a holder lacks a segment, as far as is known.
func (s *seat) lacksNow(seg protocol.SegmentID, now time.Duration) bool {
	_, lacks := s.lacks[seg]
	_, fault := s.audits.faults[seg]
	until, confessed := s.confessed[seg]
	return lacks || fault || confessed && now < until
}

// Lacks notes that holder i has not got a segment.
func (r *Roll) Lacks(s protocol.SegmentID, i int) {
	if r.Lack == nil {
		r.Lack = make(map[protocol.SegmentID]group.Set)
	}
	v := r.Lack[s]
	v.Add(i)
	r.Lack[s] = v
}

// Others returns the holders apart from this node.
func (r *Roll) Others() (out []peer.ID) {
	for i := range r.Table.Held {
		if i != r.Self {
			out = append(out, r.Table.Held[i].Peer)
		}
	}
	return out
}

// Silent reports whether no holder of a slot answers this node.
func (r *Roll) Silent(slot int) bool {
	for i := range r.Table.Held {
		if int(r.Table.Held[i].Slot) == slot && r.Living.Has(i) && !r.Missed.Has(i) {
			return false
		}
	}
	return true
}

// Release counts a holder as having handed its slot over.
func (r *Roll) Release(id peer.ID, slot int) {
	for i := range r.Table.Held {
		if h := &r.Table.Held[i]; h.Peer == id && int(h.Slot) == slot {
			r.View.Released.Add(i)
		}
	}
}

// HasSat reports whether a peer holds a slot, or has held it.
func (r *Roll) HasSat(id peer.ID, slot int) bool {
	is := func(s group.Seat) bool { return s.Peer == id && int(s.Slot) == slot }
	return slices.ContainsFunc(r.Table.Held, is) || slices.ContainsFunc(r.Table.Former, is)
}

// Own returns this node's slot.
func (r *Roll) Own() int { return int(r.Table.Held[r.Self].Slot) }

// DomainsOf counts the slots of some seats by failure domain, each slot with
// the first of its holders. This node is a domain of its own.
func (r *Roll) DomainsOf(seats group.Set) []int {
	var taken group.Set
	slots := make(map[group.Domain]int)
	for i, x := range r.Table.Held {
		if !seats.Has(i) || taken.Has(int(x.Slot)) {
			continue
		}
		taken.Add(int(x.Slot))
		slots[r.DomainAt(i)]++
	}
	return slices.Collect(maps.Values(slots))
}

// DomainAt returns the failure domain of holder i; this node is one of its own.
func (r *Roll) DomainAt(i int) group.Domain {
	if i == r.Self {
		own := group.Candidate{Peer: r.Table.Held[i].Peer}
		return own.Domain(true)
	}
	return r.Table.Held[i].Domain
}
