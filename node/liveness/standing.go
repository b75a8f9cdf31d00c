package liveness

import (
	"math"
	"time"

	"github.com/cairnstore/cairn/protocol/group"
)

// State is what a node makes of a neighbour.
type State uint8

// The states. A neighbour keeps its slots in all of them but Gone.
const (
	Present   State = iota // answers, or has not been silent for long
	Absent                 // silent for AbsentAfter
	Away                   // silent, and said so before
	Suspended              // has lost sight of its disk, and says so or said so before
	Gone                   // silent for GoneAfter beyond what is excused: its slots are vacant
)

// String names the state in lower case.
func (s State) String() string {
	return [...]string{"present", "absent", "away", "suspended", "gone"}[s]
}

// Said is what a neighbour's answer said of itself, as durations by its own
// clock, which is in the same answer: until − clock. Whether the two nodes' clocks
// agree does not matter. Zero or less: nothing said.
type Said struct {
	AwayFor      time.Duration // it will not be heard for so long
	SuspendedFor time.Duration // it may be unable to read its disk for so long
}

// Standing is what a node knows of one neighbour: 72 bytes without a pointer. The
// zero Standing is a stranger's, which is Present until a message goes unanswered.
// Its fields are for saving it; its methods decide.
//
// A silence begins and ends with evidence: it lasts from the first unanswered
// message to the latest, never to now. A node that sends nothing judges nobody.
type Standing struct {
	HeardAt time.Duration // its last answer; meaningless while Heard is false
	Since   time.Duration // first unanswered message, or first answer "suspended"; meaningless while Tries is 0
	Latest  time.Duration // latest such message

	AwayUntil      time.Duration // as it last claimed, capped
	SuspendedUntil time.Duration // as it last claimed, capped
	AwayUsed       time.Duration // excused in earlier silences of this period
	SuspendedUsed  time.Duration // excused in earlier silences of this period
	UsedAt         time.Duration // when something was last added to the two

	Tries uint32 // messages since it was last well; 0: it is well
	Fails uint16 // messages unanswered since its last answer, at most 65535
	Heard bool   // it has answered at least once
}

// Answered takes note of a beat's answer at a moment of the watch. It ends a
// silence, unless the neighbour says that it is suspended:
// then it lives and holds nothing.
func (s Standing) Answered(set *Settings, now time.Duration, said Said) Standing {
	if said.SuspendedFor > 0 {
		s = s.trouble(set, now)
	} else {
		s = s.well(set)
	}
	s.HeardAt, s.Heard, s.Fails = now, true, 0
	return s.claim(set, now, said)
}

// Told takes note of a beat that the neighbour sent of itself. It is no answer:
// a peer that speaks and never answers can give nobody a shard, and has to be found
// gone all the same. Its claims count, unless it is in a silence: they cover only
// what comes after them, and its next answer brings them again.
func (s Standing) Told(set *Settings, now time.Duration, said Said) Standing {
	if s.Tries > 0 {
		return s
	}
	return s.claim(set, now, said)
}

// claim replaces what the neighbour claimed before.
func (s Standing) claim(set *Settings, now time.Duration, said Said) Standing {
	s.AwayUntil, s.SuspendedUntil = 0, 0
	if said.AwayFor > 0 {
		s.AwayUntil = now + min(said.AwayFor, set.MaxAway)
	}
	if said.SuspendedFor > 0 {
		s.SuspendedUntil = now + min(said.SuspendedFor, set.MaxSuspended)
	}
	return s
}

// Replied takes note of an answer to any other message: it shows life, and does not
// change what the neighbour claimed before.
func (s Standing) Replied(set *Settings, now time.Duration) Standing {
	return s.Answered(set, now, Said{AwayFor: s.AwayUntil - now, SuspendedFor: s.SuspendedUntil - now})
}

// Unanswered takes note of a message of any kind that was not answered.
func (s Standing) Unanswered(set *Settings, now time.Duration) Standing {
	s = s.trouble(set, now)
	if s.Fails < math.MaxUint16 {
		s.Fails++
	}
	return s
}

// State returns what the evidence makes of the neighbour.
func (s Standing) State(set *Settings) State {
	silence := s.Silence()
	switch {
	case s.Tries == 0:
		return Present
	case silence-s.excused(set) >= set.GoneAfter:
		return Gone
	case s.Fails == 0 || covers(s.SuspendedUntil, s.Latest) && silence <= set.MaxSuspended-s.SuspendedUsed:
		return Suspended
	case covers(s.AwayUntil, s.Latest) && silence <= set.MaxAway-s.AwayUsed:
		return Away
	case silence >= set.AbsentAfter:
		return Absent
	}
	return Present
}

// Silence returns how long the neighbour is known not to have been well: silent,
// or without its disk, as it says itself.
func (s Standing) Silence() time.Duration {
	if s.Tries == 0 {
		return 0
	}
	return max(s.Latest-s.Since, 0)
}

// Holding reports whether the neighbour's shards count as held: it has been
// silent for less than GoneAfter, whatever it claims. Claims keep it its slots
// for longer, and never count for a segment's health.
func (s Standing) Holding(set *Settings) bool { return s.Silence() < set.GoneAfter }

// Answering reports whether the neighbour counts among those that could serve
// now: it has been silent for less than UrgentAfter. One that never answered gets
// until AbsentAfter: a node that joins a group finds peers in the owner's table that
// died long ago, and must not take that for an emergency before others can enter.
func (s Standing) Answering(set *Settings) bool {
	if !s.Heard {
		return s.Silence() < set.AbsentAfter
	}
	return s.Silence() < set.UrgentAfter
}

// Living reports whether work may fall to the neighbour: it has answered, has not
// been silent for UrgentAfter, and does not say that its disk is out of sight.
func (s Standing) Living(set *Settings) bool {
	return s.Heard && s.Silence() < set.UrgentAfter && (s.Tries == 0 || s.Fails > 0)
}

// Mark puts what the standing says of the holder of a seat into a view. audit.Record
// adds what its audits say.
func (s Standing) Mark(set *Settings, v *group.View, seat int) {
	for _, m := range [...]struct {
		in  *group.Set
		yes bool
	}{
		{&v.Gone, s.State(set) == Gone},
		{&v.Weak, !s.Holding(set)},
		{&v.Absent, s.Silence() >= set.AbsentAfter},
		{&v.Silent, !s.Answering(set)},
		{&v.Unheard, s.Tries > 0 && !s.Heard},
		{&v.Living, s.Living(set) && !v.Gone.Has(seat)},
	} {
		if m.yes {
			m.in.Add(seat)
		}
	}
}

// trouble extends the silence to now, or begins one.
func (s Standing) trouble(set *Settings, now time.Duration) Standing {
	if s.Tries == 0 {
		s.Since = now
		if now-s.UsedAt >= set.AwayPeriod {
			s.AwayUsed, s.SuspendedUsed = 0, 0
		}
	}
	s.Latest = max(now, s.Since)
	if s.Tries < math.MaxUint32 {
		s.Tries++
	}
	return s
}

// well ends a silence and charges what was excused of it, so that nobody is excused
// for ever by being away or suspended again and again.
func (s Standing) well(set *Settings) Standing {
	away, suspended := s.excuses(set)
	if away > 0 || suspended > 0 {
		s.AwayUsed += away
		s.SuspendedUsed += suspended
		s.UsedAt = s.Latest
	}
	s.Tries, s.Fails = 0, 0
	return s
}

// excused returns how much of the silence does not count towards Gone.
func (s Standing) excused(set *Settings) time.Duration {
	away, suspended := s.excuses(set)
	return max(away, suspended)
}

// excuses returns how much of the silence each claim covers. Both claims begin
// before it, so that the longer contains the shorter.
func (s Standing) excuses(set *Settings) (away, suspended time.Duration) {
	silence := s.Silence()
	away = min(silence, s.AwayUntil-s.Since, set.MaxAway-s.AwayUsed)
	suspended = min(silence, s.SuspendedUntil-s.Since, set.MaxSuspended-s.SuspendedUsed)
	return max(away, 0), max(suspended, 0)
}

// covers reports whether a claim, if there is one, reaches a moment.
func covers(until, at time.Duration) bool { return until > 0 && at <= until }
