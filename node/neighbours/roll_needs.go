package neighbours

import (
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Needs reports whether some segment of the group needs repair, and whether one
// needs it at once. A segment that is beyond repair does not hide another's need.
func (r *Roll) Needs(t *group.Tally) (repair, urgent bool) {
	see := func(lacking group.Set) {
		c := group.Assess(r.Table.Profile, t.Count(lacking))
		repair, urgent = repair || c.NeedsRepair(), urgent || c == group.Urgent
	}
	see(group.Set{})
	for _, lacking := range r.Lack {
		see(lacking)
	}
	return repair, urgent
}

// WasSafe reports whether a segment may once have had enough holders to be safe.
// It had not where too many of the holders that the owner drew, and that answer,
// lack it: they never got it.
func (r *Roll) WasSafe(s protocol.SegmentID) bool {
	never := 0
	lacking := r.Lacking(s)
	for i := range r.Table.Held {
		if drawn := r.Table.Held[i].Drawn || i == r.Self && r.Drawn; drawn && lacking.Has(i) && r.Living.Has(i) {
			never++
		}
	}
	return never <= r.Table.Profile.N-group.SafeAt(r.Table.Profile)
}

// LacksAny reports whether a holder lacks some segment.
func (r *Roll) LacksAny(i int) bool {
	for _, lacking := range r.Lack {
		if lacking.Has(i) {
			return true
		}
	}
	return false
}

// Urgent reports whether some segment of the group needs repair at once.
func (r *Roll) Urgent() bool {
	t := group.NewTally(r.Table.Slots(), r.View)
	_, urgent := r.Needs(&t)
	return urgent
}
