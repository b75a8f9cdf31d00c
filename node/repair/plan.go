package repair

import (
	"cmp"
	"slices"
)

// Budget is bytes of bandwidth, down and up.
type Budget struct{ Down, Up int64 }

// Fits reports whether b is no more than all in either direction.
func (b Budget) Fits(all Budget) bool { return b.Down <= all.Down && b.Up <= all.Up }

// Minus returns what is left of b after c.
func (b Budget) Minus(c Budget) Budget { return Budget{b.Down - c.Down, b.Up - c.Up} }

// Plus returns both together.
func (b Budget) Plus(c Budget) Budget { return Budget{b.Down + c.Down, b.Up + c.Up} }

// Cost returns what the repair of a segment takes: k shards fetched, and as many
// put as are missing. have tells that this node keeps one of the k itself.
func Cost(k, missing int, shardSize int64, have bool) Budget {
	if have {
		k--
	}
	return Budget{Down: int64(k) * shardSize, Up: int64(missing) * shardSize}
}

// Work is a segment that is this node's to repair.
type Work struct {
	Group, Segment int // the caller's indexes
	Score          int // group.Endangered: less is sooner
	Cost           Budget
}

// Plan returns the work to be done now, the most endangered first, and never more
// than left allows. It sorts work and returns the beginning of it, and what that
// costs. Segments equally endangered stay together by group, so that one batch
// asks the same holders.
//
// Where the next segment does not fit, the batch ends, though smaller ones might
// fit: else large segments would wait for ever. Segments that would not fit even
// most, the whole budget, are passed over; they stand at the end of work.
func Plan(work []Work, left, most Budget) (batch []Work, cost Budget) {
	slices.SortFunc(work, func(a, b Work) int {
		return cmp.Or(
			cmp.Compare(a.Score, b.Score), cmp.Compare(a.Group, b.Group), cmp.Compare(a.Segment, b.Segment))
	})
	possible := work[:0:len(work)]
	for i := range work {
		if work[i].Cost.Fits(most) {
			n := len(possible)
			possible = possible[:n+1]
			possible[n], work[i] = work[i], possible[n]
		}
	}
	for i := range possible {
		next := cost.Plus(possible[i].Cost)
		if !next.Fits(left) {
			return possible[:i], cost
		}
		cost = next
	}
	return possible, cost
}
