package liveness

import (
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Settings are the durations of liveness, each in one place. Scale turns them into
// those of a testnet.
type Settings struct {
	BeatEvery    time.Duration // between two beats to a neighbour that answers
	MaxBeatEvery time.Duration // the longest that many neighbours stretch BeatEvery
	BeatGap      time.Duration // between any two beats that a node sends, on average
	RetryEvery   time.Duration // between two beats to one that does not answer

	UrgentAfter time.Duration // of silence until a holder counts as not answering
	AbsentAfter time.Duration // of silence until a neighbour is absent
	GoneAfter   time.Duration // of silence, not counting what is excused, until it is gone

	MaxAway      time.Duration // that "away until" excuses within AwayPeriod
	MaxSuspended time.Duration // that "suspended" excuses within AwayPeriod
	AwayPeriod   time.Duration // without a new excuse, until those used are forgotten

	RecentWithin time.Duration // an answer no older makes a neighbour's domain count in a Census
	ProbeWithin  time.Duration // the attempts that Probe looks at
	MaxCutOff    time.Duration // for which the watch of a node that is cut off stops, and it judges nobody

	StepOver time.Duration // by which the wall clock must disagree to have stepped
	MaxGap   time.Duration // between two runs of a process, or two readings of a watch, that is believed
}

// Jitter is the part by which a beat comes earlier or later than its interval,
// so that neighbours do not beat in step.
const Jitter = 0.2

const day = 24 * time.Hour

// DefaultSettings returns what a network runs with.
func DefaultSettings() Settings {
	return Settings{
		BeatEvery:    6 * time.Hour,
		MaxBeatEvery: 3 * day,
		BeatGap:      day / 4000,
		RetryEvery:   time.Hour,
		UrgentAfter:  4 * time.Hour,
		AbsentAfter:  day,
		GoneAfter:    7 * day,
		MaxAway:      protocol.MaxAway,
		MaxSuspended: protocol.MaxSuspended,
		AwayPeriod:   protocol.AbsencePeriod,
		RecentWithin: 7 * day,
		ProbeWithin:  time.Hour,
		MaxCutOff:    7 * day,
		StepOver:     time.Hour,
		MaxGap:       day,
	}
}

// Scale multiplies every duration by factor. All decisions scale with it.
func (s Settings) Scale(factor float64) Settings {
	for _, d := range [...]*time.Duration{
		&s.BeatEvery, &s.MaxBeatEvery, &s.BeatGap, &s.RetryEvery,
		&s.UrgentAfter, &s.AbsentAfter, &s.GoneAfter,
		&s.MaxAway, &s.MaxSuspended, &s.AwayPeriod,
		&s.RecentWithin, &s.ProbeWithin, &s.MaxCutOff, &s.StepOver, &s.MaxGap,
	} {
		*d = time.Duration(float64(*d) * factor)
	}
	return s
}
