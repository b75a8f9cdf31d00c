package neighbours

import (
	"bytes"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Holder is a seat as other packages see it.
type Holder struct {
	Peer     peer.ID
	Slot     int
	Standing liveness.Standing
	State    liveness.State
	Member   bool // it counts as the holder of the slot
	Asks     bool // it is to be audited for it
	Drawn    bool // the owner drew it for the slot
	Lost     Loss
	Draining bool
	Lacks    int // segments, as its own Have says
	Failed   int // segments, by this node's audits
}

// Holders returns the peers at a group's slots, without this node, in order of
// slots; nil: the group is not held here.
func (h *Register) Holders(id protocol.GroupID) []Holder {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return nil
	}
	out := make([]Holder, len(g.list))
	for i := range g.list {
		out[i] = g.list[i].view()
	}
	return out
}

func (s *seat) view() Holder {
	return Holder{
		Peer: s.who.id, Slot: int(s.slot), Standing: s.who.standing, State: s.who.state,
		Member: s.counts(), Asks: s.asks, Drawn: s.drawn, Lost: s.lost, Draining: s.who.draining,
		Lacks: len(s.lacks), Failed: len(s.audits.faults),
	}
}

// IsMember reports whether a peer counts as a holder in a group: drawn by the
// owner or proven, and not found gone or failed.
func (h *Register) IsMember(id protocol.GroupID, p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		s := g.of(p)
		return s != nil && s.counts()
	}
	return false
}

// Sits reports whether a peer is known at some slot of a group: as a member or a
// spare, as one that was, or as one that asks to be and may.
func (h *Register) Sits(id protocol.GroupID, p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return false
	}
	s := g.of(p)
	return s != nil && !s.stranger()
}

// HasSeat reports whether a peer has asked for some slot of a group, or more.
func (h *Register) HasSeat(id protocol.GroupID, p peer.ID) (has bool) {
	h.withPeer(id, p, func(*seats, *seat) { has = true })
	return has
}

// Members returns the peers that count as holders in a group, this node among
// them.
func (h *Register) Members(id protocol.GroupID) []peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	members, _ := h.membersOf(id)
	return members
}

// ToBeFound is Members, and whether the group has something to be found.
func (h *Register) ToBeFound(id protocol.GroupID) (members []peer.ID, granted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.membersOf(id)
}

// membersOf is ToBeFound where mu is held.
func (h *Register) membersOf(id protocol.GroupID) ([]peer.ID, bool) {
	g := h.groups[id]
	if g == nil {
		return nil, false
	}
	out := []peer.ID{h.self}
	for i := range g.list {
		if s := &g.list[i]; s.counts() {
			out = append(out, s.who.id)
		}
	}
	return out, g.granted
}

// Vacant counts the slots of all groups that nobody holds, as far as this node
// has found.
func (h *Register) Vacant() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, g := range h.groups {
		var taken group.Set
		if g.own >= 0 {
			taken.Add(g.own)
		}
		for i := range g.list {
			if s := &g.list[i]; s.counts() {
				taken.Add(int(s.slot))
			}
		}
		n += g.profile.N - taken.Count()
	}
	return n
}

// Guests returns the groups in which the owner gave this node's slot to another.
func (h *Register) Guests() (out []protocol.GroupID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range h.order() {
		if !h.groups[id].mine {
			out = append(out, id)
		}
	}
	return out
}

// IDs returns the groups held here, in order.
func (h *Register) IDs() []protocol.GroupID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.order()
}

// order is IDs where mu is held.
func (h *Register) order() []protocol.GroupID {
	out := make([]protocol.GroupID, 0, len(h.groups))
	for id := range h.groups {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b protocol.GroupID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// Segments returns how many segments a group's members are to hold, as far as
// is known without its facts.
func (h *Register) Segments(id protocol.GroupID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		return g.keeps
	}
	return 0
}

// SlotsOf returns a group's profile and this node's slot; ok is false where it
// is not held here.
func (h *Register) SlotsOf(id protocol.GroupID) (p protocol.Profile, own int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		return g.profile, g.own, true
	}
	return p, -1, false
}

// HoldsSlot reports whether a peer counts as the holder of a slot.
func (h *Register) HoldsSlot(id protocol.GroupID, p peer.ID, slot int) bool {
	return slices.ContainsFunc(h.Holders(id), func(o Holder) bool { return o.Peer == p && o.Slot == slot && o.Member })
}
