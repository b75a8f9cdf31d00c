package group

import (
	"slices"
	"time"
)

// LeaseSettings are the durations of leases, each in one place. Scale shortens
// them for a testnet.
type LeaseSettings struct {
	First    time.Duration // how long a renewal holds while the lease is not long
	Ripen    time.Duration // from learning of the group until a renewal makes the lease long
	Long     time.Duration // how long a renewal of a long lease holds
	Frozen   time.Duration // from the end of the lease until it expires
	Ahead    time.Duration // how far ahead of the clock a renewal may be dated
	Distrust time.Duration // how long nothing expires after a step of the wall clock, by the watch
}

const day = 24 * time.Hour

// DefaultLeaseSettings returns what a network runs with.
func DefaultLeaseSettings() LeaseSettings {
	return LeaseSettings{First: 60 * day, Ripen: 30 * day, Long: 365 * day, Frozen: 91 * day, Ahead: day, Distrust: 7 * day}
}

// Scale multiplies every duration by factor. Dates are in whole seconds.
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
	Last  int64 // date of the newest renewal, Unix seconds; 0: none came
	Long  bool  // the owner has come back, or others kept the group before this node did
}

// NewLease begins a lease when a node comes to know a group. joined says that the
// node was not there when the group was formed but entered to repair it. Such a
// node cannot know how old the group is and assumes that it is old: otherwise
// holders that replace others would give the group up before the older ones do.
// Until a renewal comes, either kind of lease lasts for First, so that joining
// prolongs nothing.
func NewLease(now time.Time, joined bool) Lease { return Lease{Known: now.Unix(), Long: joined} }

// Renewed takes note of a renewal dated at, in Unix seconds. ok is false, and
// nothing changes, if the date is more than Ahead in front of this node's clock:
// the renewal has to wait. One older than the newest changes nothing either.
//
// A lease becomes long by a renewal dated at least Ripen after this node came to
// know the group: the signer can choose the date, but not when the node came to
// know the group.
func (l Lease) Renewed(set *LeaseSettings, at int64, now time.Time) (next Lease, ok bool) {
	clock := now.Unix()
	if at > clock+seconds(set.Ahead) {
		return l, false
	}
	l.Known = min(l.Known, clock) // if the clock was ahead at first and has been put right since
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
	Median  time.Time // of the neighbours' clocks (MedianOffset); zero: no neighbour told its own
	Stepped bool      // this node's clock stepped within Distrust (liveness.Watch.Stepped)
}

// State returns what the lease allows. The earlier of the two clocks decides, so
// that neither a wrong clock of this node nor wrong neighbours can end a lease
// before its time. Without a neighbour's clock, or after a step, nothing expires.
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
// cannot step, so what was heard before this node's clock stepped stays right. Of
// an even number it is the earlier of the middle two. It sorts offsets; ok is
// false where there are none. The median clock is the watch now plus this.
func MedianOffset(offsets []int64) (seconds int64, ok bool) {
	if len(offsets) == 0 {
		return 0, false
	}
	slices.Sort(offsets)
	return offsets[(len(offsets)-1)/2], true
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
