package liveness

import (
	"testing"
	"time"
)

var epoch = time.Unix(1_800_000_000, 0)

// Whatever the wall clock does, while the process runs or while it does not, the
// watch moves by what the monotonic clock moved.
func TestWatchIgnoresTheWall(t *testing.T) {
	const h = time.Hour
	w := Watch{}.Resume(&defaults, 5*h, epoch)
	if w.Now != 0 || w.Stepped(h) {
		t.Fatalf("new: %+v", w)
	}
	for i, c := range []struct {
		restart bool
		mono    time.Duration
		wall    time.Time
		now     time.Duration
		steps   uint32
	}{
		{false, 6 * h, epoch.Add(h), h, 0},
		{false, 7 * h, epoch.Add(3 * h), 2 * h, 0},                  // an hour of step exactly
		{false, 8 * h, epoch.Add(4*h + 1), 3 * h, 1},                // a little more
		{false, 9 * h, epoch.AddDate(40, 0, 0), 4 * h, 2},           // years
		{false, 9 * h, epoch, 4 * h, 3},                             // and back
		{true, 0, epoch.Add(h), 4 * h, 3},                           // a believable rest
		{true, 0, epoch.Add(25 * h), 4 * h, 3},                      // a day
		{true, 0, epoch.Add(49*h + 1), 4 * h, 4},                    // more
		{true, 0, epoch.Add(49 * h), 4 * h, 5},                      // back over a restart
		{true, 100 * h, epoch.AddDate(100, 0, 0), 4 * h, 6},         // years over a restart
		{false, 101 * h, epoch.AddDate(100, 0, 0), 5 * h, 6},        // the wall stands
		{false, 100 * h, epoch.AddDate(100, 0, 0), 5 * h, 6},        // a monotonic clock that is not
		{false, 102 * h, epoch.AddDate(100, 0, 0).Add(h), 6 * h, 6}, // goes on
	} {
		if c.restart {
			w = w.Resume(&defaults, c.mono, c.wall)
		} else {
			w = w.Read(&defaults, c.mono, c.wall, false)
		}
		if w.Now != c.now || w.Steps != c.steps {
			t.Errorf("%d: now %v, %d steps", i, w.Now, w.Steps)
		}
	}
	if !w.Stepped(2*h+1) || w.Stepped(2*h) {
		t.Errorf("last step at %v", w.LastStep)
	}
}

func TestWatchStopsWhileCutOff(t *testing.T) {
	const d = 24 * time.Hour
	w := Watch{}.Resume(&defaults, 0, epoch)
	read := func(at time.Duration, cutOff bool) time.Duration {
		for now := w.mono + time.Hour; now <= at; now += time.Hour {
			w = w.Read(&defaults, now, epoch.Add(now), cutOff)
		}
		return w.Now
	}
	for i, c := range []struct {
		at     time.Duration
		cutOff bool
		now    time.Duration
	}{
		{d, false, d}, {3 * d, true, d}, {5 * d, false, 3 * d}, {12 * d, true, 3 * d}, {13 * d, true, 4 * d},
		{14 * d, false, 5 * d}, {15 * d, true, 5 * d}, {16 * d, true, 6 * d}, // a day of freedom buys a day
	} {
		if got := read(c.at, c.cutOff); got != c.now {
			t.Errorf("%d: %v, not %v", i, got, c.now)
		}
	}
	if w.Steps != 0 {
		t.Error("being cut off is no step")
	}
}

// A process or a machine that was stopped for days has seen nothing meanwhile,
// whatever its monotonic clock counts.
func TestWatchSkipsStops(t *testing.T) {
	const d = 24 * time.Hour
	w := Watch{}.Resume(&defaults, 0, epoch)
	w = w.Read(&defaults, d, epoch.Add(d), false)
	if w.Now != d || w.Steps != 0 {
		t.Errorf("after a day: %+v", w)
	}
	w = w.Read(&defaults, 9*d, epoch.Add(9*d), false)
	if w.Now != d || w.Steps != 1 {
		t.Errorf("after a stop of eight days: %+v", w)
	}
	w = w.Read(&defaults, 9*d+time.Hour, epoch.Add(9*d+time.Hour), false)
	if w.Now != d+time.Hour || w.Steps != 1 {
		t.Errorf("an hour later: %+v", w)
	}
}
