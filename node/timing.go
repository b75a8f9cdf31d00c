package node

import (
	"math"
	"time"
)

// Timing says how long the things take that a node does on its own. Zero
// fields take the defaults.
type Timing struct {
	// DeleteDelay is how long a deleted segment's bytes stay on disk: an
	// owner's mistake or a stolen device can be noticed by then.
	DeleteDelay time.Duration
	// UpkeepEvery is how often due work is looked for.
	UpkeepEvery time.Duration
}

// DefaultTiming returns the times of the norm.
func DefaultTiming() Timing {
	return Timing{
		DeleteDelay: 7 * 24 * time.Hour,
		UpkeepEvery: time.Minute,
	}
}

// Scale returns the times multiplied by a factor above 0, so that a testnet
// lives through weeks in seconds. None gets shorter than a millisecond.
func (t Timing) Scale(factor float64) Timing {
	t = t.withDefaults()
	for _, d := range t.all() {
		*d = max(time.Millisecond, time.Duration(math.Min(float64(*d)*factor, math.MaxInt64/2)))
	}
	return t
}

// all lists the times.
func (t *Timing) all() []*time.Duration {
	return []*time.Duration{&t.DeleteDelay, &t.UpkeepEvery}
}

func (t Timing) withDefaults() Timing {
	d := DefaultTiming()
	for i, v := range t.all() {
		setDefault(v, *d.all()[i])
	}
	return t
}
