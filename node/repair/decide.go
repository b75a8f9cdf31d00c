package repair

import (
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Answer is what a node does about one segment, and if nothing, why.
type Answer uint8

// The answers. "Nothing to do" and "beyond repair" are never one.
const (
	Nothing      Answer = iota // it is well
	Mine                       // repair it now
	Theirs                     // it needs repair, and it is another member's turn
	Thin                       // it needs repair, and nobody is there to take what is missing, or all who are have it
	Unclear                    // too few holders were audited by this node to tell
	Resting                    // its lease is frozen: served, not repaired
	Inconsistent               // its descriptor is false: never tried again
	Beyond                     // fewer than k are left
)

// String names the answer in lower case.
func (a Answer) String() string {
	return [...]string{"nothing to do", "mine", "another's turn", "thin", "unclear", "lease frozen", "inconsistent", "beyond repair"}[a]
}

// Group is what the decisions about a group's segments share. Make it once a
// pass over the group.
type Group struct {
	ID      protocol.GroupID
	Profile protocol.Profile
	Keys    []group.Key // of its members, by index (group.Seats.Keys)
	Living  group.Set   // group.View.Living, with this node itself
	Self    int         // this node's index; -1: it has no seat, and no work
	Day     group.Day   // group.DayAt now
	CutOff  bool        // this node is probably cut off: it repairs nothing
	Frozen  bool        // the lease is no longer alive
}

// Segment is what the decision about one segment needs besides.
type Segment struct {
	ID           protocol.SegmentID
	Count        group.Count
	Takers       int  // of the missing slots, those with a holder or candidate that would take the shard, and does not say that it has it
	Inconsistent bool // k verified shards contradicted a root once
}

// Decide tells what this node does about a segment now.
func (g *Group) Decide(s *Segment) Answer {
	c := group.Assess(g.Profile, s.Count)
	switch {
	case s.Inconsistent:
		return Inconsistent
	case c == group.Beyond:
		return Beyond
	case c == group.Unclear:
		return Unclear
	case !c.NeedsRepair():
		return Nothing
	case g.Frozen:
		return Resting
	case s.Takers == 0:
		return Thin
	case !g.CutOff && g.Self >= 0 && g.Repairer(s.ID) == g.Self:
		return Mine
	}
	return Theirs
}

// Repairer returns which member's turn it is to repair a segment; -1: none is
// living. A turn lasts for a quarter of a day. Members that see the same members
// living agree; where they do not, two may make the same shards, and the one that
// comes second finds the slot filled.
func (g *Group) Repairer(s protocol.SegmentID) int {
	return group.NewLot("repair", g.ID, g.Day.Number, s[:]...).Turn(g.Keys, g.Keys, g.Living, g.Day.Step)
}

// Plausible reports whether it may be a member's turn to repair a segment by that
// member's view of the others, even if it is not by this node's.
func (g *Group) Plausible(s protocol.SegmentID, member int) bool {
	lot := group.NewLot("repair", g.ID, g.Day.Number, s[:]...)
	return lot.Plausible(g.Keys, g.Living, g.Day.Step, member)
}

// Missing returns the slots that a repair makes: those whose holders are gone,
// failed, or lack the segment; where it is urgent, also those whose holders are
// absent. The slot of a holder that came back with its shard is not among them.
func Missing(p protocol.Profile, t *group.Tally, v group.View, lacking group.Set, c group.Condition) group.Set {
	if c == group.Urgent {
		lacking = lacking.Or(v.Absent)
	}
	return group.UpTo(p.N).Without(t.Slots(lacking))
}
