package repair

import (
	"slices"
	"time"

	"github.com/cairnstore/cairn/protocol/group"
)

// table is a member's own table of the simulated group, which it changes by the
// rules of group.Seats.
type table struct {
	*group.Seats
	named []named // at most one a slot
}

// named is a candidate that a drawer named for a slot.
type named struct {
	group.Seat
	until time.Duration // on this member's watch: then another may be named
}

// enter seats a peer that asked to enter and has passed the audit of its slot, if
// it may. Holders of the slot that are gone leave.
func (t *table) enter(x group.Seat, v group.View, urgent bool) bool {
	if t.MayEnter(x, v, urgent) != group.Welcome {
		return false
	}
	out := v.Gone.Or(v.Released)
	for i := len(t.Held) - 1; i >= 0; i-- {
		if t.Held[i].Peer == x.Peer || t.Held[i].Slot == x.Slot && out.Has(i) {
			t.leave(i)
		}
	}
	at, _ := slices.BinarySearchFunc(t.Held, int(x.Slot)+1, func(h group.Seat, slot int) int { return int(h.Slot) - slot })
	t.Held = slices.Insert(t.Held, at, x)
	t.Former = slices.DeleteFunc(t.Former, func(f group.Seat) bool { return f.Slot == x.Slot && f.Peer == x.Peer })
	t.unname(int(x.Slot))
	return true
}

// leave takes a seat from its peer, and remembers that it held the slot.
func (t *table) leave(i int) {
	x := t.Held[i]
	t.Held = slices.Delete(t.Held, i, i+1)
	t.Former = append(t.Former, x)
}

// name notes the candidate of a vacant slot, until a moment of the watch. The
// first named stays until then.
func (t *table) name(x group.Seat, v group.View, urgent bool, now, until time.Duration) {
	if t.MayEnter(x, v, urgent) != group.Welcome || t.candidate(int(x.Slot), now) != nil {
		return
	}
	t.unname(int(x.Slot))
	t.named = append(t.named, named{x, until})
}

// candidate returns who is named for a slot now; nil: nobody.
func (t *table) candidate(slot int, now time.Duration) *named {
	for i := range t.named {
		if c := &t.named[i]; int(c.Slot) == slot && now < c.until {
			return c
		}
	}
	return nil
}

func (t *table) unname(slot int) {
	t.named = slices.DeleteFunc(t.named, func(c named) bool { return int(c.Slot) == slot })
}
