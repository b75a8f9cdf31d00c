package node

import (
	"slices"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/repair"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// States counts segments, or groups, by what they need, as one node sees it.
// Each is in one of them; Thin alone counts some of Lazy and Urgent again. A
// group counts as the one of its segments that needs most.
type States struct {
	Well         int `json:"well"`         // full or enough: nothing is repaired
	Unclear      int `json:"unclear"`      // too few holders were audited by this node yet to tell
	Inconsistent int `json:"inconsistent"` // the descriptor is proved false: never repaired
	Lazy         int `json:"lazy"`         // to be repaired: r shards or fewer are held
	Urgent       int `json:"urgent"`       // to be repaired now: few holders answer
	Thin         int `json:"thin"`         // of these two, those whose missing shards nobody known here would take
	Beyond       int `json:"beyond"`       // fewer than k shards are left: lost, unless somebody returns
}

// The words for what a group needs, worst last. They are part of docs/json.md.
const (
	StateEmpty        = "empty" // it has no segments
	StateWell         = "well"
	StateUnclear      = "unclear"
	StateInconsistent = "inconsistent"
	StateLazy         = "lazy"
	StateUrgent       = "urgent"
	StateThin         = "thin" // as well as lazy or urgent
	StateBeyond       = "beyond"
)

// Worst names the worst state of which there is one.
func (s States) Worst() string {
	switch {
	case s.Beyond > 0:
		return StateBeyond
	case s.Urgent > 0:
		return StateUrgent
	case s.Lazy > 0:
		return StateLazy
	case s.Inconsistent > 0:
		return StateInconsistent
	case s.Unclear > 0:
		return StateUnclear
	case s.Well > 0:
		return StateWell
	}
	return StateEmpty
}

// AddGroup counts a group by its segments' states.
func (s *States) AddGroup(of States) {
	switch of.Worst() {
	case StateBeyond:
		s.Beyond++
	case StateUrgent:
		s.Urgent++
	case StateLazy:
		s.Lazy++
	case StateInconsistent:
		s.Inconsistent++
	case StateUnclear:
		s.Unclear++
	case StateWell:
		s.Well++
	}
	if of.Thin > 0 && of.Beyond == 0 {
		s.Thin++
	}
}

// plus adds other segments, or groups.
func (s *States) plus(o States) {
	s.Well += o.Well
	s.Unclear += o.Unclear
	s.Inconsistent += o.Inconsistent
	s.Lazy += o.Lazy
	s.Urgent += o.Urgent
	s.Thin += o.Thin
	s.Beyond += o.Beyond
}

// byName gives each count its state's name, as metrics and texts use it.
func (s States) byName() map[string]int {
	return map[string]int{
		StateWell: s.Well, StateUnclear: s.Unclear, StateInconsistent: s.Inconsistent,
		StateLazy: s.Lazy, StateUrgent: s.Urgent, StateThin: s.Thin, StateBeyond: s.Beyond,
	}
}

// weighing is what a node needs to weigh a group's segments: its roll, a tally
// of it, and what it does about which segment.
type weighing struct {
	*neighbours.Roll
	tally   group.Tally
	decide  repair.Group
	takes   func(slot int, s protocol.SegmentID) bool // somebody would take a slot's shard, or has it and is to enter
	isFalse func(protocol.SegmentID) bool             // its descriptor is proved false
}

// weight is what one segment needs, and what this node does about it.
type weight struct {
	segment   protocol.SegmentID
	lacking   group.Set // seats
	count     group.Count
	condition group.Condition
	missing   group.Set // slots, where it needs repair
	takers    int       // of these, those that somebody would take
	answer    repair.Answer
}

// weigh tells what a segment needs that some seats lack. It is what repair,
// status, metrics and the safety gauge all go by.
func (w *weighing) weigh(s protocol.SegmentID, lacking group.Set) weight {
	v := weight{segment: s, lacking: lacking, count: w.tally.Count(lacking)}
	v.condition = group.Assess(w.decide.Profile, v.count)
	if v.condition.NeedsRepair() {
		v.missing = repair.Missing(w.decide.Profile, &w.tally, w.View, lacking, v.condition)
		for slot := range w.decide.Profile.N {
			if v.missing.Has(slot) && w.takes(slot, s) {
				v.takers++
			}
		}
	}
	v.answer = w.decide.Decide(&repair.Segment{ID: s, Count: v.count, Takers: v.takers, Inconsistent: w.isFalse(s)})
	return v
}

// survey counts the states of n segments, and returns the lowest. Those
// that no seat lacks and of which nothing is known are all alike: only the
// special ones are weighed one by one.
func (w *weighing) survey(n int, special []protocol.SegmentID) (s States, lowest weight) {
	found := false
	note := func(v weight, n int) {
		if n <= 0 {
			return
		}
		s.add(v, n)
		if !found || v.lower(&lowest) {
			lowest, found = v, true
		}
	}
	for _, seg := range special {
		note(w.weigh(seg, w.Lacking(seg)), 1)
	}
	note(w.weigh(protocol.SegmentID{}, group.Set{}), n-len(special))
	return s, lowest
}

// lower reports whether fewer slots hold a segment, or as many of which fewer answer.
func (v *weight) lower(than *weight) bool {
	a, b := v.count, than.count
	if x, y := a.Holding+a.Unaudited, b.Holding+b.Unaudited; x != y {
		return x < y
	}
	if a.Answering != b.Answering {
		return a.Answering < b.Answering
	}
	return a.Holding < b.Holding
}

// add counts n segments that need the same.
func (s *States) add(v weight, n int) {
	switch {
	case v.condition == group.Beyond:
		s.Beyond += n
	case v.answer == repair.Inconsistent:
		s.Inconsistent += n
	case v.condition == group.Urgent:
		s.Urgent += n
	case v.condition == group.Lazy:
		s.Lazy += n
	case v.condition == group.Unclear:
		s.Unclear += n
	default:
		s.Well += n
	}
	if v.answer == repair.Thin {
		s.Thin += n
	}
}

// weighing prepares a group's roll for weighing. A disk that is missing or
// failed holds nothing. While this node takes itself for the one that is cut off
// it judges nobody, and repairs nothing. But a holder that does not answer cannot be
// read, whoever is at fault, so it counts as silent, lest a group look well.
func (n *Node) weighing(v *neighbours.Roll) *weighing {
	cutOff := n.neighbours.CutOff()
	if cutOff {
		v.View.Silent = v.View.Silent.Or(v.Missed)
	}
	if n.store.Usage().Err != nil {
		v.View.Weak.Add(v.Self)
	}
	return &weighing{
		Roll: v, tally: group.NewTally(v.Table.Slots(), v.View),
		decide: repair.Group{
			ID: v.ID, Profile: v.Table.Profile, Keys: v.Keys, Living: v.Living, Self: v.Self,
			Day: group.DayAt(v.ID, n.cfg.Timing.RepairDay, n.now()), CutOff: cutOff,
			Frozen: n.leases.state(v.ID, n.now()) != group.Alive,
		},
		takes:   func(slot int, s protocol.SegmentID) bool { return n.couldTake(v, slot, s) },
		isFalse: func(s protocol.SegmentID) bool { return n.verdicts.has(kin{v.ID, s}) },
	}
}

// couldTake reports whether a slot has a holder that lacks a segment and answers,
// or a candidate, whether or not that has its shard by now.
func (n *Node) couldTake(v *neighbours.Roll, slot int, s protocol.SegmentID) bool {
	if _, named := n.nominees.at(place{v.ID, slot}, n.neighbours.Now()); named {
		return true
	}
	lacking := v.Lacking(s).And(v.Living)
	for i := range v.Table.Held {
		if int(v.Table.Held[i].Slot) == slot && lacking.Has(i) {
			return true
		}
	}
	return false
}

// special returns the segments of a roll that are not like all others: those that
// some seat lacks, or whose descriptor is false.
func (n *Node) special(v *neighbours.Roll) []protocol.SegmentID {
	out := n.verdicts.of(v.ID)
	for s := range v.Lack {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// HealthStatus counts what a node keeps by what it needs.
type HealthStatus struct {
	Groups   States `json:"groups"`
	Segments States `json:"segments"`
}

// health counts the groups shared and their segments. It reads no fact: how many
// segments a group has is as it was when its facts were last looked at.
func (n *Node) health() (h HealthStatus) {
	for _, id := range n.neighbours.IDs() {
		v := n.neighbours.Roll(id)
		if v == nil || n.leases.state(id, n.now()) == group.Expired {
			continue
		}
		special := n.special(v)
		s, _ := n.weighing(v).survey(max(n.neighbours.Segments(id), len(special)), special)
		h.Segments.plus(s)
		h.Groups.AddGroup(s)
	}
	return h
}
