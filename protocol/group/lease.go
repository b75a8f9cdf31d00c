package group

import (
	"slices"
	"time"
)

// LeaseSettings are the durations of leases, each in one place. Scale makes a
// testnet's of them.
type LeaseSettings struct {
	First    time.Duration // for which the first renewal holds
	Ripen    time.Duration // after the first renewal until another makes the lease long
	Long     time.Duration // for which a renewal of a long lease holds
	Frozen   time.Duration // from the end of the lease until it expires
	Ahead    time.Duration // by which a renewal may be dated ahead of the clock
	Distrust time.Duration // after a step of the wall clock in which nothing expires, on the watch
}

const day = 24 * time.Hour

// DefaultLeaseSettings returns what a network runs with.
func DefaultLeaseSettings() LeaseSettings {
	return LeaseSettings{First: 60 * day, Ripen: 30 * day, Long: 365 * day, Frozen: 91 * day, Ahead: day, Distrust: 7 * day}
}

// Scale multiplies every duration by factor. Dates have whole seconds.
func (s LeaseSettings) Scale(factor float64) LeaseSettings {
	for _, d := range [...]*time.Duration{&s.First, &s.Ripen, &s.Long, &s.Frozen, &s.Ahead, &s.Distrust} {
		*d = time.Duration(float64(*d) * factor)
	}
	return s
}

// Lease is how long a node keeps a group without hearing that its owner lives: a
// value of 24 bytes. NewLease begins one.
type Lease struct {
	Known int64 // Unix seconds of this node's clock when it came to know the group
	Last  int64 // Unix seconds that the newest renewal bears; 0: none came
	Long  bool  // the owner has come back, or others kept the group before this node did
}

// NewLease begins a lease when a node comes to know a group. joined tells that it
// was not there when the group was formed: it entered to repair it, cannot know
// how old the group is, and takes it for an old one, lest the holders that
// replace others give up before those do. Until a renewal comes either lasts for
// First, so that joining prolongs nothing.
func NewLease(now time.Time, joined bool) Lease { return Lease{Known: now.Unix(), Long: joined} }

// Renewed takes note of a renewal dated at, in Unix seconds. ok is false, and
// nothing changes, where the date is more than Ahead of this node's clock: it has
// to wait. One older than the newest changes nothing either.
//
// A lease becomes long by a renewal dated Ripen after this node came to know the
// group: whoever signs can choose the date, but not that moment.
func (l Lease) Renewed(set *LeaseSettings, at int64, now time.Time) (next Lease, ok bool) {
	clock := now.Unix()
	if at > clock+seconds(set.Ahead) {
		return l, false
	}
	l.Known = min(l.Known, clock) // a clock that was ahead at the first has been put right
	l.Long = l.Long || at >= l.Known+seconds(set.Ripen)
	l.Last = max(l.Last, at)
	return l, true
}

// LeaseState is what a lease allows.
type LeaseState uint8

// The states of a lease.
const (
	Alive   LeaseState = iota // all is served, kept and repaired
	Frozen                    // served and kept; no put, no repair
	Expired                   // to be freed
)

// String names the state in lower case.
func (s LeaseState) String() string { return [...]string{"alive", "frozen", "expired"}[s] }

// Clocks is what a node knows of the time of day when it asks about leases.
type Clocks struct {
	Own     time.Time
	Median  time.Time // of the neighbours' clocks (MedianOffset); zero: no neighbour told
	Stepped bool      // the own clock stepped within Distrust (liveness.Watch.Stepped)
}

// State returns what the lease allows. The earlier of the two clocks decides, so
// that neither a wrong clock of one's own nor wrong neighbours end a lease before
// its time; without a neighbour's, or after a step, nothing expires.
func (l Lease) State(set *LeaseSettings, c Clocks) LeaseState {
	now := c.Own
	if !c.Median.IsZero() && c.Median.Before(now) {
		now = c.Median
	}
	switch end := l.End(set); {
	case now.Unix() < end:
		return Alive
	case now.Unix() < end+seconds(set.Frozen) || c.Median.IsZero() || c.Stepped:
		return Frozen
	}
	return Expired
}

// End returns when the lease ceases to be alive, in Unix seconds.
func (l Lease) End(set *LeaseSettings) int64 {
	switch {
	case l.Last == 0:
		return l.Known + seconds(set.First)
	case l.Long:
		return l.Last + seconds(set.Long)
	}
	return l.Last + seconds(set.First)
}

// MedianOffset returns the middle one of the neighbours' clocks, each given in
// seconds as its distance from this node's watch when it was heard: the watch
// cannot step, so what was heard before the own clock stepped stays right. Of an
// even number it is the earlier middle. It sorts offsets; ok is false where there
// are none. The median is the watch now plus this.
func MedianOffset(offsets []int64) (seconds int64, ok bool) {
	if len(offsets) == 0 {
		return 0, false
	}
	slices.Sort(offsets)
	return offsets[(len(offsets)-1)/2], true
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
