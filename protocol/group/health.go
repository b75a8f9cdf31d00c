package group

import (
	"slices"

	"github.com/cairnstore/cairn/protocol"
)

// WorstDomains is how many failure domains the safety gauge supposes to leave.
const WorstDomains = 5

// Holder is a candidate that holds a slot.
type Holder struct {
	Slot int
	Candidate
}

// Health is what the safety gauge shows of one segment, or of a group's worst.
type Health struct {
	Reachable  int // slots with a holder that was reached
	Needed     int // slots that give the segment back
	Domains    int // failure domains that these holders span
	AfterWorst int // slots left when the WorstDomains domains that hold the most leave
}

// Lost reports whether fewer slots than needed were reached.
func (h Health) Lost() bool { return h.Reachable < h.Needed }

// HealthOf measures the holders that were reached. Two holders of one slot hold
// the same shard: the slot counts once, for the holder named first.
func HealthOf(p protocol.Profile, reached []Holder, private bool) Health {
	var taken [protocol.MaxShards]bool
	slots := make(map[Domain]int)
	h := Health{Needed: p.K}
	for i := range reached {
		s := reached[i].Slot
		if s < 0 || s >= p.N || s >= len(taken) || taken[s] {
			continue
		}
		taken[s] = true
		h.Reachable++
		slots[reached[i].Domain(private)]++
	}
	h.Domains = len(slots)
	counts := make([]int, 0, len(slots))
	for _, n := range slots {
		counts = append(counts, n)
	}
	h.AfterWorst, _ = Remaining(counts, p.K, WorstDomains)
	return h
}

// Remaining returns how many slots are left when the worst domains, those that
// hold the most slots, leave, and whether the slots left still give a segment
// back. slotsByDomain has one count per domain, in any order, and is not changed.
func Remaining(slotsByDomain []int, k, worst int) (left int, readable bool) {
	counts := slices.Clone(slotsByDomain)
	slices.SortFunc(counts, func(a, b int) int { return b - a })
	for _, n := range counts[min(max(worst, 0), len(counts)):] {
		left += n
	}
	return left, left >= k
}
