package neighbours

import (
	"slices"
	"time"

	"github.com/cairnstore/cairn/protocol/group"
)

// urgency is whether some segment of a group needs repair at once, as found a short
// while ago: finding out takes a look at all that the group's holders lack, and
// anybody may make this node do it by asking for a slot. It is found out again when
// something has changed that counting shows, and else after urgencyFor. Register.mu
// guards it.
type urgency struct {
	found map[urgencyKey]bool
	until time.Duration // by mono
}

// urgencyKey is what urgency depends on, as far as counting tells.
type urgencyKey struct {
	view                      group.View
	held                      int
	lacks, faults, confession int
}

const (
	urgencyFor = time.Minute
	// maxUrgencies bounds the answers that are remembered of one group: there is one
	// for each view of it, and a handover is judged by a view of its own.
	maxUrgencies = 8
)

// urgencyKey counts. mu is held.
func (h *Register) urgencyKey(g *seats, r *Roll) urgencyKey {
	k := urgencyKey{view: r.View, held: len(r.Table.Held), lacks: h.lacks.Of(g)}
	for i := range g.list {
		k.faults += len(g.list[i].audits.faults)
		k.confession += len(g.list[i].confessed)
	}
	return k
}

// IsUrgent reports whether some segment of a roll's group needs repair at once,
// as the roll sees its holders.
func (h *Register) IsUrgent(r *Roll) bool {
	if r.ofAll {
		return r.Urgent()
	}
	h.mu.Lock()
	g := h.groups[r.ID]
	if g == nil {
		h.mu.Unlock()
		return false
	}
	key, mono := h.urgencyKey(g, r), h.mono()
	if mono >= g.urgent.until {
		g.urgent = urgency{until: mono + urgencyFor}
	}
	if urgent, known := g.urgent.found[key]; known {
		h.mu.Unlock()
		return urgent
	}
	all := h.roll(r.ID, &Roll{ofAll: true})
	h.mu.Unlock()
	if !slices.Equal(all.Table.Held, r.Table.Held) {
		return all.Urgent() // others hold its slots by now
	}
	all.View = r.View
	urgent := all.Urgent()
	h.mu.Lock()
	defer h.mu.Unlock()
	if g.urgent.found == nil {
		g.urgent.found = make(map[urgencyKey]bool)
	}
	if len(g.urgent.found) < maxUrgencies {
		g.urgent.found[key] = urgent
	}
	return urgent
}
