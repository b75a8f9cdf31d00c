package liveness

import "time"

// NextBeat returns when a neighbour is asked again, as a moment of a clock that
// never stands still, so that a node that is cut off notices when it no longer
// is: an interval after asked, when it was last asked or last answered. neighbours is
// how many the node has; u is drawn uniformly from 0 … 1.
//
// Intervals stretch with neighbours, so that all beats together keep BeatGap on
// average, up to MaxBeatEvery. A neighbour that did not answer the last message is
// asked every RetryEvery, stretched in the same proportion; one that is gone, at the
// longest interval: mostly it will come by itself.
func NextBeat(set *Settings, s Standing, asked time.Duration, neighbours int, u float64) time.Duration {
	every := Interval(set, s, neighbours)
	return asked + time.Duration(float64(every)*(1-Jitter+2*Jitter*u))
}

// Interval returns the time between two beats to a neighbour, before Jitter.
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

// Sight is what a node sees of the neighbours in one failure domain. One that is
// reached there shows that the way to it is open, whatever has become of the others.
type Sight struct {
	recent    bool // some answered within RecentWithin of the watch
	answering bool // one of these answered its last message, too
	replied   bool // some answered within ProbeWithin
	fell      int  // neighbours that fell silent within ProbeWithin: those silent before tell nothing new
}

// Add looks at one neighbour of the domain, now being the moment on the watch.
func (v Sight) Add(set *Settings, s Standing, now time.Duration) Sight {
	if s.Heard && now-s.HeardAt <= set.RecentWithin {
		v.recent = true
		v.answering = v.answering || s.Fails == 0
	}
	switch within := func(at time.Duration) bool { return now-at <= set.ProbeWithin }; {
	case s.Fails > 0 && within(s.Since):
		v.fell++
	case s.Fails == 0 && s.Heard && within(s.HeardAt):
		v.replied = true
	}
	return v
}

// Census counts the failure domains of the neighbours by which a node judges
// itself, each once: identities cost nothing, and a crowd behind one address that
// falls silent must not make the node take itself for cut off.
type Census struct {
	Recent    int // domains of which some neighbour answered within RecentWithin
	Answering int // of these, those of which one answered its last message, too
	Tried     int // domains of which some neighbour answered, or fell silent, within ProbeWithin
	Failed    int // of these, those of which none answered
	Fallen    int // neighbours that fell silent in the latter
}

// Add counts one domain.
func (c Census) Add(v Sight) Census {
	if v.recent {
		c.Recent++
	}
	if v.answering {
		c.Answering++
	}
	switch {
	case v.replied:
		c.Tried++
	case v.fell > 0:
		c.Tried++
		c.Failed++
		c.Fallen += v.fell
	}
	return c
}

// CutOff reports whether this node is probably cut off: fewer than half of the Recent
// domains answered their last message. Then, for a time
// (Watch.Excused), it judges nobody: Watch.Read must be told, and no repair begins.
func (c Census) CutOff() bool { return 2*c.Answering < c.Recent }

// minProbe is how many neighbours must fall silent before that is a sign of anything.
const minProbe = 3

// Probe reports whether the node should ask all of its neighbours now: most
// domains asked in the last hour have fallen silent, and finding out whether that is
// its own fault cannot wait for the next round of beats.
func (c Census) Probe() bool { return c.Fallen >= minProbe && 2*c.Failed > c.Tried }

// Probed reports whether a probe asks a neighbour now: one that answered within
// ProbeWithin has shown that this node reaches it, and one that did not answer is
// asked again soon in any case.
func Probed(set *Settings, s Standing, now time.Duration) bool {
	return s.Fails == 0 && (!s.Heard || now-s.HeardAt > set.ProbeWithin)
}
