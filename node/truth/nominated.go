package truth

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// NominatedTo reports whether this node was nominated for a slot of a table with that
// many slots.
func (g *Group) NominatedTo(slots int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nominated >= 0 && g.nominated < slots
}

// NominatedWho returns the peer that nominated this node for its slot; "": none did.
func (g *Group) NominatedWho() peer.ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nominator
}

// NominatedBy reports whether it was this peer that nominated this node for its slot.
func (g *Group) NominatedBy(id peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nominated >= 0 && g.nominator == id
}

// IsDrawn reports whether the owner's table gives this node its slot.
func (g *Group) IsDrawn() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nominated < 0
}

// Nominate notes for which slot this node was nominated; -1: for none.
func (g *Group) Nominate(slot int, by peer.ID, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nominated, g.nominator, g.nominatedAt = slot, by, at
}

// CameInVain reports whether this node was nominated for a slot before a time,
// and has got nothing since.
func (g *Group) CameInVain(before time.Time) bool {
	return g.NominatedBefore(before) && g.Count() == 0 && !g.Takes()
}

// NominatedBefore reports whether this node was nominated for its slot, and
// before a time.
func (g *Group) NominatedBefore(t time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.table != nil && g.nominated >= 0 && g.nominatedAt.Before(t)
}
