package node

import (
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// roll is one group as the rules of package group take it: this node's table
// and what it makes of the others, at one moment. It is a copy; what changes
// later it does not show.
type roll struct {
	id     protocol.GroupID
	table  *group.Seats // Held: who counts as a holder, this node among them; Former: who no longer does
	view   group.View
	keys   []group.Key // of table.Held, by index
	self   int         // this node's index
	drawn  bool        // the owner's table names this node
	living group.Set   // who answers, this node among them
	knows  int         // how many of these take this node for a holder
	missed group.Set   // whose last message was not answered
	lastly int64       // Unix seconds: when a slot was last found to have lost its holder; 0: none has
	lack   map[protocol.SegmentID]group.Set
}

// accepted reports whether this node counts as a member to most, as far as it
// can tell: the owner drew it, or most of those who answer take it for one, and
// as many as it could repair with. Till then it knows little of the others that
// came by proof, as they of it: it would see all slots of the owner's dead
// vacant, and draw ever more candidates.
func (r *roll) accepted() bool {
	return r.drawn || 2*r.knows >= r.living.Count()-1 && r.knows+1 >= r.table.Profile.K
}

// lacking returns who of the holders has not got a segment: by its own word, or
// by this node's audits.
func (r *roll) lacking(s protocol.SegmentID) group.Set { return r.lack[s] }

// roll returns a group's roll; nil: the group is not held here.
func (h *neighbours) roll(id protocol.GroupID) *roll {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return nil
	}
	now := h.moment()
	private := h.private()
	r := &roll{id: id, table: h.drawn(g, private), self: -1, drawn: g.mine}
	own := group.Seat{Slot: uint8(g.own), Peer: h.self, Key: h.key}
	for i := 0; i <= len(g.list); i++ {
		if r.self < 0 && (i == len(g.list) || int(g.list[i].slot) > g.own) {
			r.self = len(r.table.Held)
			r.living.Add(r.self)
			r.table.Held = append(r.table.Held, own)
		}
		if i < len(g.list) {
			r.add(h, &g.list[i], private, now)
		}
	}
	for seg := range g.without {
		r.lacks(seg, r.self)
	}
	r.keys = r.table.Keys()
	return r
}

// drawn returns a table without holders that is as crowded as the owner's,
// which bounds what may come. mu is held.
func (h *neighbours) drawn(g *seats, private bool) *group.Seats {
	if c := &g.crowd; !c.known || c.private != private {
		t := h.ownersTable(g, private)
		*c = crowd{true, private, t.Same, t.Near}
	}
	return &group.Seats{Profile: g.profile, Same: g.crowd.same, Near: g.crowd.near, Held: make([]group.Seat, 0, len(g.list)+1)}
}

// ownersTable returns the table that the owner signed. mu is held.
func (h *neighbours) ownersTable(g *seats, private bool) *group.Seats {
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
func (r *roll) add(h *neighbours, s *seat, private bool, now time.Duration) {
	x := group.Seat{Slot: s.slot, Peer: s.who.id, Key: s.who.key, Domain: s.who.domain(private), Drawn: s.drawn}
	if !s.counts() {
		if s.lost != 0 {
			r.lastly = max(r.lastly, s.since)
		}
		if s.drawn || s.proven {
			r.table.Former = append(r.table.Former, x)
		}
		return
	}
	i := len(r.table.Held)
	r.table.Held = append(r.table.Held, x)
	s.who.standing.Mark(h.set, &r.view, i)
	s.audits.Mark(h.audit, now, &r.view, i)
	if r.view.Living.Has(i) {
		r.living.Add(i)
		if s.knows {
			r.knows++
		}
	}
	if s.who.standing.Fails > 0 {
		r.missed.Add(i)
	}
	for seg := range s.lacks {
		r.lacks(seg, i)
	}
	for seg := range s.audits.faults {
		r.lacks(seg, i)
	}
	for seg, until := range s.confessed {
		if now < until {
			r.lacks(seg, i)
		}
	}
}

func (r *roll) lacks(s protocol.SegmentID, i int) {
	if r.lack == nil {
		r.lack = make(map[protocol.SegmentID]group.Set)
	}
	v := r.lack[s]
	v.Add(i)
	r.lack[s] = v
}

// others returns the holders apart from this node.
func (r *roll) others() (out []peer.ID) {
	for i := range r.table.Held {
		if i != r.self {
			out = append(out, r.table.Held[i].Peer)
		}
	}
	return out
}

// silent reports whether no holder of a slot answers this node.
func (r *roll) silent(slot int) bool {
	for i := range r.table.Held {
		if int(r.table.Held[i].Slot) == slot && r.living.Has(i) && !r.missed.Has(i) {
			return false
		}
	}
	return true
}

// release counts a holder as having handed its slot over.
func (r *roll) release(id peer.ID, slot int) {
	for i := range r.table.Held {
		if h := &r.table.Held[i]; h.Peer == id && int(h.Slot) == slot {
			r.view.Released.Add(i)
		}
	}
}

// hasSat reports whether a peer holds a slot, or has held it.
func (r *roll) hasSat(id peer.ID, slot int) bool {
	is := func(s group.Seat) bool { return s.Peer == id && int(s.Slot) == slot }
	return slices.ContainsFunc(r.table.Held, is) || slices.ContainsFunc(r.table.Former, is)
}
