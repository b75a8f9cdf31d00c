package node

import (
	"bytes"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// holder is a seat as others of this package see it.
type holder struct {
	peer     peer.ID
	slot     int
	standing liveness.Standing
	state    liveness.State
	member   bool // it counts as the holder of the slot
	asks     bool // it is to be audited for it
	drawn    bool // the owner drew it for the slot
	lost     loss
	draining bool
	lacks    int // segments, by its own Have
	failed   int // segments, by this node's audits
}

// holders returns who sits at a group's slots, this node apart, in order of
// slots; nil: the group is not held here.
func (h *neighbours) holders(id protocol.GroupID) []holder {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return nil
	}
	out := make([]holder, len(g.list))
	for i := range g.list {
		out[i] = g.list[i].view()
	}
	return out
}

func (s *seat) view() holder {
	return holder{
		peer: s.who.id, slot: int(s.slot), standing: s.who.standing, state: s.who.state,
		member: s.counts(), asks: s.asks, drawn: s.drawn, lost: s.lost, draining: s.who.draining,
		lacks: len(s.lacks), failed: len(s.audits.faults),
	}
}

// isMember reports whether a peer counts as a holder in a group: drawn by the
// owner or proven, and not found gone or failed.
func (h *neighbours) isMember(id protocol.GroupID, p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		s := g.of(p)
		return s != nil && s.counts()
	}
	return false
}

// sits reports whether a peer is known at some slot of a group: as a member or a
// spare, as one that was, or as one that asks to be and may.
func (h *neighbours) sits(id protocol.GroupID, p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return false
	}
	s := g.of(p)
	return s != nil && !s.stranger()
}

// hasSeat reports whether a peer has asked for some slot of a group, or more.
func (h *neighbours) hasSeat(id protocol.GroupID, p peer.ID) (has bool) {
	h.withPeer(id, p, func(*seats, *seat) { has = true })
	return has
}

// members returns the peers that count as holders in a group, this node among
// them.
func (h *neighbours) members(id protocol.GroupID) []peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	members, _ := h.membersOf(id)
	return members
}

// toBeFound is members, and whether the group has something to be found.
func (h *neighbours) toBeFound(id protocol.GroupID) (members []peer.ID, granted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.membersOf(id)
}

// membersOf is toBeFound where mu is held.
func (h *neighbours) membersOf(id protocol.GroupID) ([]peer.ID, bool) {
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

// vacant counts the slots of all groups that nobody holds, as far as this node
// has found.
func (h *neighbours) vacant() (n int) {
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

// guests returns the groups in which the owner gave this node's slot to another.
func (h *neighbours) guests() (out []protocol.GroupID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range h.order() {
		if !h.groups[id].mine {
			out = append(out, id)
		}
	}
	return out
}

// ids returns the groups held here, in order.
func (h *neighbours) ids() []protocol.GroupID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.order()
}

// order is ids where mu is held.
func (h *neighbours) order() []protocol.GroupID {
	out := make([]protocol.GroupID, 0, len(h.groups))
	for id := range h.groups {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b protocol.GroupID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// segments returns how many segments a group's members are to hold, as far as
// is known without its facts.
func (h *neighbours) segments(id protocol.GroupID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		return g.keeps
	}
	return 0
}

// slotsOf returns a group's profile and this node's slot; ok is false where it
// is not held here.
func (h *neighbours) slotsOf(id protocol.GroupID) (p protocol.Profile, own int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		return g.profile, g.own, true
	}
	return p, -1, false
}
