package group

import (
	"math/bits"

	"github.com/cairnstore/cairn/protocol"
)

// Condition is what a segment needs, worst last.
type Condition uint8

// The conditions. Only Lazy and Urgent are work.
const (
	Full    Condition = iota // all n slots count: never repaired
	Enough                   // more than r: nothing to do
	Unclear                  // too few holders that this member has audited to tell: audit first
	Lazy                     // r or fewer: back to n
	Urgent                   // too few answer, whatever is held: back to n, and the absent are replaced
	Beyond                   // fewer than k: cannot be repaired, unless a holder returns
)

// String names the condition in lower case.
func (c Condition) String() string {
	return [...]string{"full", "enough", "unclear", "lazy", "urgent", "beyond repair"}[c]
}

// NeedsRepair reports whether the segment is work for its repairer.
func (c Condition) NeedsRepair() bool { return c == Lazy || c == Urgent }

// UrgentBelow returns the number of answering slots below which repair is urgent:
// k + ⌈(r−k)/2⌉.
func UrgentBelow(p protocol.Profile) int { return p.K + (p.R-p.K+1)/2 }

// Count is a segment's health as one member sees it, in slots: each counts once,
// however many peers hold it.
type Count struct {
	Holding   int // with a holder that is neither gone nor failed, passed this member's audits lately, and does not lack the segment
	Unaudited int // with no such holder, but with one that lacks only the audit
	Answering int // of both, those with such a holder that has been silent for less than UrgentAfter, 4 hours
}

// Assess tells what a segment needs. Unaudited slots may hold their shards: a
// segment looks lost only if it would be lost even with all of them. It takes some
// nanoseconds.
func Assess(p protocol.Profile, c Count) Condition {
	most := c.Holding + c.Unaudited
	switch {
	case most < p.K:
		return Beyond
	case c.Answering < UrgentBelow(p):
		return Urgent
	case c.Holding >= p.N:
		return Full
	case most <= p.R && most < p.N:
		return Lazy
	case c.Holding <= p.R:
		return Unclear
	}
	return Enough
}

// Endangered ranks a segment by how soon it may be lost, lower is sooner
// (cmp.Compare): by how many holders can leave before fewer than k are left; of
// equals, urgent ones first; and those that nobody ever saw safe after all others.
func Endangered(p protocol.Profile, c Count, wasSafe bool) int {
	score := 2 * (c.Holding + c.Unaudited - p.K)
	if Assess(p, c) != Urgent {
		score++
	}
	if !wasSafe {
		score += 4 * protocol.MaxShards
	}
	return score
}

// View is how a member judges the others of a group: sets of seats by index.
// liveness.Standing.Mark and audit.Record.Mark fill it in; this node's own seat
// belongs in Living only. Make one for each pass over the group, and after each
// change of the seats; it is a value and refers to nothing.
type View struct {
	Gone      Set // gone, or failed by this member's audits
	Weak      Set // does not count as holding, though what it said of itself may keep it its slot
	Absent    Set // silent for AbsentAfter at least, excused or not
	Silent    Set // silent for UrgentAfter at least
	Unheard   Set // never answered this member, though asked
	Living    Set // work may fall to it
	Unaudited Set // has not passed this member's audits lately
	Released  Set // handed its slot over; the caller adds these
}

// Tally counts segments of one group. It is a value of some 200 bytes; make it
// once a pass with NewTally. Then Count costs some nanoseconds a segment and some
// for each seat that lacks it, and up to a microsecond only where one of two
// holders of a slot lacks it.
type Tally struct {
	slots     []uint8 // by seat
	sound     Set     // seats that hold
	unaudited Set     // seats that may hold: only the audit is missing
	answering Set     // of both, those that answer
	doubled   Set     // slots with two seats or more
	whole     Count   // of a segment that no seat lacks
}

// NewTally prepares the counting of a group's segments. slots gives each seat's
// slot (Seats.Slots) and is kept, not copied.
func NewTally(slots []uint8, v View) Tally {
	held := UpTo(len(slots)).Without(v.Gone).Without(v.Weak).Without(v.Released)
	t := Tally{slots: slots, sound: held.Without(v.Unaudited), unaudited: held.And(v.Unaudited), answering: held.Without(v.Silent)}
	var seen Set
	for _, s := range slots {
		if seen.Has(int(s)) {
			t.doubled.Add(int(s))
		}
		seen.Add(int(s))
	}
	t.whole = t.count(Set{})
	return t
}

// Count counts a segment that the seats in lacking lack: as their own Have says,
// as this member's audit found, or as they confessed. Mostly the set is empty.
func (t *Tally) Count(lacking Set) Count {
	c := t.whole
	for i, w := range lacking {
		for ; w != 0; w &= w - 1 {
			seat := 64*i + bits.TrailingZeros64(w)
			switch {
			case seat >= len(t.slots):
				return c
			case t.doubled.Has(int(t.slots[seat])):
				return t.count(lacking)
			case t.sound.Has(seat):
				c.Holding--
			case t.unaudited.Has(seat):
				c.Unaudited--
			}
			if t.answering.Has(seat) {
				c.Answering--
			}
		}
	}
	return c
}

// count counts slot by slot.
func (t *Tally) count(lacking Set) Count {
	sound := t.bySlot(t.sound.Without(lacking))
	return Count{
		Holding:   sound.Count(),
		Unaudited: t.bySlot(t.unaudited.Without(lacking)).Without(sound).Count(),
		Answering: t.bySlot(t.answering.Without(lacking)).Count(),
	}
}

// Reached returns the seats, without those in except, that hold a segment, passed
// this member's audits lately, and answer.
func (t *Tally) Reached(except Set) Set { return t.sound.And(t.answering).Without(except) }

// Slots returns the slots that have a holder of a segment as far as is known,
// seats in except not counted. Repair makes the shards of all other slots.
func (t *Tally) Slots(except Set) Set {
	return t.bySlot(t.sound.Or(t.unaudited).Without(except))
}

// bySlot turns a set of seats into one of slots.
func (t *Tally) bySlot(seats Set) (slots Set) {
	for i, w := range seats {
		for ; w != 0; w &= w - 1 {
			slots.Add(int(t.slots[64*i+bits.TrailingZeros64(w)]))
		}
	}
	return slots
}
