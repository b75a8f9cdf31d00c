package node

import (
	"math"
	"time"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol/group"
)

// Timing says how long the things take that a node does on its own. Zero
// fields take the defaults.
type Timing struct {
	// DeleteDelay is how long a deleted segment's bytes stay on disk: an
	// owner's mistake or a stolen device can be noticed by then.
	DeleteDelay time.Duration
	// UpkeepEvery is how often due work is looked for.
	UpkeepEvery time.Duration
	// NotesEvery is how often what is known of neighbours is noted on the disk.
	NotesEvery time.Duration
	// ExchangeEvery is how often each group's facts are compared with some of
	// its members.
	ExchangeEvery time.Duration
	// Liveness says when neighbours are asked, and when they are absent or
	// gone. Its zero fields are no defaults: the zero Settings stand for all of
	// them, others are complete.
	Liveness liveness.Settings
	// Lease says how long groups are kept without a sign of their owners. As of
	// Liveness, its zero value alone stands for defaults.
	Lease group.LeaseSettings
}

// DefaultTiming returns the times of the norm.
func DefaultTiming() Timing {
	return Timing{
		DeleteDelay:   7 * 24 * time.Hour,
		UpkeepEvery:   time.Minute,
		NotesEvery:    time.Hour,
		ExchangeEvery: 24 * time.Hour,
		Liveness:      liveness.DefaultSettings(),
		Lease:         group.DefaultLeaseSettings(),
	}
}

// Scale returns the times multiplied by a factor above 0, so that a testnet
// lives through weeks in seconds. None gets shorter than a millisecond.
func (t Timing) Scale(factor float64) Timing {
	t = t.withDefaults()
	for _, d := range t.all() {
		*d = max(time.Millisecond, time.Duration(math.Min(float64(*d)*factor, math.MaxInt64/2)))
	}
	t.Liveness = t.Liveness.Scale(factor)
	t.Lease = t.Lease.Scale(factor)
	return t
}

// all lists the times, those of Liveness and Lease apart.
func (t *Timing) all() []*time.Duration {
	return []*time.Duration{&t.DeleteDelay, &t.UpkeepEvery, &t.NotesEvery, &t.ExchangeEvery}
}

func (t Timing) withDefaults() Timing {
	d := DefaultTiming()
	for i, v := range t.all() {
		setDefault(v, *d.all()[i])
	}
	setDefault(&t.Liveness, d.Liveness)
	setDefault(&t.Lease, d.Lease)
	return t
}
