package audit

import (
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Moment is a point of a group's cycles.
type Moment struct {
	Cycle int64         // its number
	Into  time.Duration // since it began
}

// Phase returns by how much a group's cycles are shifted, so that a node's
// groups do not begin theirs together. One hash; keep it.
func Phase(set *Settings, g protocol.GroupID) time.Duration {
	return time.Duration(group.NewLot("phase", g, 0).Share(uint64(set.Cycle)))
}

// At returns where in a group's cycles the wall clock stands.
func At(set *Settings, phase time.Duration, wall time.Time) Moment {
	length := max(set.Cycle.Milliseconds(), 1)
	at := wall.UnixMilli() + phase.Milliseconds()
	n := at / length
	if at%length < 0 {
		n--
	}
	return Moment{Cycle: n, Into: time.Duration(at-n*length) * time.Millisecond}
}

// SegmentLot returns the lot of a segment's audits in a cycle, from which those
// of its shards follow by Of(slot). One hash; keep it for a pass over the slots.
func SegmentLot(g protocol.GroupID, s protocol.SegmentID, cycle int64) group.Lot {
	return group.NewLot("audit", g, cycle, s[:]...)
}

// lateShare leaves a part of each cycle, at its end, to auditors that are late: a
// tenth.
const lateShare = 10

// Due returns how far into its cycle the audit of a shard falls due.
func Due(set *Settings, shard group.Lot) time.Duration {
	return time.Duration(shard.Share(uint64(set.Cycle - set.Cycle/lateShare)))
}

// Auditor returns which member of the set living audits a shard that holder
// keeps; -1 where there is no other. Where the first by lot is not living it is
// the next. Each member goes by its own view: two that see different members
// living may both audit, or now and then neither; then the samples remain.
func Auditor(shard group.Lot, members []group.Key, living group.Set, holder int) int {
	living.Remove(holder)
	return shard.First(members, living)
}

// NextSample returns when a neighbour is sampled again: a daily interval after
// the last sample, stretched for a node with many neighbours. u is drawn
// uniformly from 0 … 1 and moves it by up to a tenth either way.
func NextSample(set *Settings, sampled time.Duration, neighbours int, u float64) time.Duration {
	every := set.SampleEvery
	if neighbours >= set.ManyNeighbours {
		every = set.SampleStretch
	}
	return sampled + time.Duration(float64(every)*(0.9+0.2*u))
}
