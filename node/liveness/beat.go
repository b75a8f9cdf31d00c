package liveness

import "time"

// NextBeat returns when a neighbour is asked again, as a moment of a clock that
// never stands still, so that a node that is cut off notices when it no longer
// is: a multiple of an interval after asked, the last message that either sent
// the other. neighbours is how many the node has; u is drawn uniformly from 0 … 1.
//
// Intervals stretch with neighbours, so that all beats together keep BeatGap on
// average, up to MaxBeatEvery. Who did not answer the last message is asked
// RetryEvery, stretched in the same proportion; who is gone at the longest
// interval: mostly it will come by itself.
func NextBeat(set *Settings, s Standing, asked time.Duration, neighbours int, u float64) time.Duration {
	every := Interval(set, s, neighbours)
	return asked + time.Duration(float64(every)*(1-Jitter+2*Jitter*u))
}

// Interval returns the time between two beats to a neighbour, Jitter apart.
func Interval(set *Settings, s Standing, neighbours int) time.Duration {
	every := min(max(set.BeatEvery, time.Duration(neighbours)*set.BeatGap), set.MaxBeatEvery)
	switch {
	case s.Fails == 0:
		return every
	case s.State(set) == Gone:
		return set.MaxBeatEvery
	}
	return time.Duration(float64(set.RetryEvery) * (float64(every) / float64(set.BeatEvery)))
}

// Census counts the neighbours by which a node judges itself. Add each, or keep
// the counts by adding what changes.
type Census struct {
	Recent    int // answered within RecentWithin of the watch
	Answering int // of these, answered the last message, too
	Tried     int // neighbours that answered, or fell silent, within ProbeWithin
	Failed    int // of these, those that fell silent: who was so before says nothing new
}

// Add counts one neighbour, now being the moment on the watch.
func (c Census) Add(set *Settings, s Standing, now time.Duration) Census {
	if s.Heard && now-s.HeardAt <= set.RecentWithin {
		c.Recent++
		if s.Fails == 0 {
			c.Answering++
		}
	}
	switch within := func(at time.Duration) bool { return now-at <= set.ProbeWithin }; {
	case s.Fails > 0 && within(s.Since):
		c.Tried++
		c.Failed++
	case s.Fails == 0 && s.Heard && within(s.HeardAt):
		c.Tried++
	}
	return c
}

// CutOff reports whether this node is probably cut off: fewer than half of the
// neighbours that answered lately answered their last message. Then it judges
// nobody: Watch.Read must be told, and no repair begins.
func (c Census) CutOff() bool { return 2*c.Answering < c.Recent }

// minProbe is how many messages must fail before they are a sign of anything.
const minProbe = 3

// Probe reports whether the node should ask all of its neighbours at once: most
// of those asked in the last hour have fallen silent, and whether that is its own
// fault cannot wait for the next round of beats.
func (c Census) Probe() bool { return c.Failed >= minProbe && 2*c.Failed > c.Tried }

// Probed reports whether a probe asks a neighbour now: one that answered within
// ProbeWithin has shown that this node reaches it, and who did not answer is
// asked again soon in any case.
func Probed(set *Settings, s Standing, now time.Duration) bool {
	return s.Fails == 0 && (!s.Heard || now-s.HeardAt > set.ProbeWithin)
}
