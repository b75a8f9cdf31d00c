package contract

import "time"

// Refusal says why a node does not do now what it is asked.
type Refusal uint8

// The refusals, the most lasting first.
const (
	None      Refusal = iota
	Draining          // it is leaving
	Paused            // its donor wants the line for other things
	Away              // nobody is there to look after it
	OutOfHour         // it is not the time of day
	Exhausted         // the month's volume is used up
)

// Why returns what keeps a node from a deed, and until when, where that is known.
// Outside its hours a node lets clients wait, and its own repair where no group is
// in danger. Even then it gives and takes what others' repair needs: they repair
// only what is in danger. A pause stops all of it. Requests that are always answered
// (beats, audits, one leaf) do not come here.
func Why(t Terms, s *Stance, a *Account, d Deed, now time.Time) (Refusal, time.Time) {
	if d.Stores() && s.Drain != nil {
		return Draining, time.Time{}
	}
	if until := s.Paused(now); until != 0 {
		return Paused, time.Unix(until, 0)
	}
	if until := s.AwayUntil(now); d.Kind == NewGroup && until != 0 {
		return Away, time.Unix(until, 0)
	}
	if !t.Hours.Open(now) && !d.pressing() {
		return OutOfHour, t.Hours.Opens(now)
	}
	if d.Bytes > t.Left(a.At(MonthOf(now)), d.Class) {
		return Exhausted, nextMonth(now)
	}
	return None, time.Time{}
}

func nextMonth(now time.Time) time.Time {
	y, m, _ := now.Date()
	return time.Date(y, m+1, 1, 0, 0, 0, 0, now.Location())
}

// DeedKind is what somebody wants of a node.
type DeedKind uint8

// The kinds of deeds.
const (
	NewGroup DeedKind = iota // room for a group
	Store                    // to keep a shard
	Give                     // a shard, or a range of one
	Fetch                    // the node itself wants a shard, to repair
)

// Deed is what a node is asked to do, or wants to.
type Deed struct {
	Kind   DeedKind
	Class  Class
	Bytes  int64
	Urgent bool // of Fetch: a group is in danger
}

// Stores reports whether the deed leaves something on the node's disk.
func (d Deed) Stores() bool { return d.Kind == NewGroup || d.Kind == Store }

// pressing reports whether the deed does not wait for the hours.
func (d Deed) pressing() bool { return d.Class == Repair && (d.Kind != Fetch || d.Urgent) }
