package node

import (
	"cmp"
	"math"
	"time"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Timing says when a node does what it does on its own, and how long that takes.
// Zero fields take the defaults.
type Timing struct {
	// DeleteDelay is how long a deleted segment's bytes stay on disk: an
	// owner's mistake or a stolen device can be noticed by then.
	DeleteDelay time.Duration
	// UpkeepEvery is how often due work is looked for.
	UpkeepEvery time.Duration
	// GossipEvery is how often peers are looked for that are to be asked what
	// they offer.
	GossipEvery time.Duration
	// NotesEvery is how often what is known of neighbours is noted on the disk.
	NotesEvery time.Duration
	// ExchangeEvery is how often each group's facts are compared with some of
	// its members.
	ExchangeEvery time.Duration
	// ScrubEvery is how long after a pass over the disk the next one begins,
	// ScrubFirst how long after its start a node leaves its disk alone.
	ScrubEvery, ScrubFirst time.Duration
	// MendRetry is after how long a damaged shard that could not be mended is tried
	// again, MendMonth in what time the share of the donation is fetched to mend.
	MendRetry, MendMonth time.Duration
	// LendEvery is how often one member is lent one segment's shard without a
	// read proof; ConfessedFor is how long a member that was lent it for mending
	// counts as not holding its own.
	LendEvery, ConfessedFor time.Duration
	// ConfessFirst is how long after a member first asked it is lent a shard to
	// mend its own. It is longer than a challenge waits, so that none is answered
	// from what others lend; a testnet that scales it down can be deceived that way.
	ConfessFirst time.Duration
	// RepairDay is the day in whose quarters repair falls to one member after
	// the other.
	RepairDay time.Duration
	// RepairEvery is how often groups are looked at for what is to be repaired.
	RepairEvery time.Duration
	// NomineeFor is how long a candidate counts, EnterAgain after how long a member
	// that refuses this node is asked again.
	NomineeFor, EnterAgain time.Duration
	// Liveness says when neighbours are asked, and when they are absent or
	// gone. Its single fields have no defaults: the zero Settings stand for the
	// default ones, any others must be complete.
	Liveness liveness.Settings
	// Lease says how long groups are kept without a sign of their owners. As with
	// Liveness, only its zero value stands for defaults.
	Lease group.LeaseSettings
	// Audit says when shards are audited, and which failures are tolerated; like
	// Liveness, it is wholly zero or complete.
	Audit audit.Settings
}

// DefaultTiming returns the times of the norm.
func DefaultTiming() Timing {
	return Timing{
		DeleteDelay:   protocol.DeleteDelay,
		UpkeepEvery:   time.Minute,
		GossipEvery:   time.Minute,
		NotesEvery:    time.Hour,
		ExchangeEvery: 24 * time.Hour,
		ScrubEvery:    30 * 24 * time.Hour,
		ScrubFirst:    5 * time.Minute,
		MendRetry:     time.Hour,
		MendMonth:     30 * 24 * time.Hour,
		LendEvery:     30 * 24 * time.Hour,
		ConfessedFor:  7 * 24 * time.Hour,
		ConfessFirst:  2 * pendingFor,
		RepairDay:     24 * time.Hour,
		RepairEvery:   15 * time.Minute,
		NomineeFor:    24 * time.Hour,
		EnterAgain:    6 * time.Hour,
		Liveness:      liveness.DefaultSettings(),
		Lease:         group.DefaultLeaseSettings(),
		Audit:         audit.DefaultSettings(),
	}
}

// Scale returns the times multiplied by a factor above 0, so that a testnet
// lives through weeks in seconds. None gets shorter than a millisecond.
func (t Timing) Scale(factor float64) Timing {
	t = t.withDefaults()
	for _, d := range t.all() {
		*d = max(time.Millisecond, time.Duration(math.Min(float64(*d)*factor, math.MaxInt64/2)))
	}
	// Looking for work costs the same, however little time goes by.
	for _, d := range []*time.Duration{&t.UpkeepEvery, &t.GossipEvery, &t.NotesEvery, &t.ScrubEvery, &t.RepairEvery} {
		*d = max(*d, leastEvery)
	}
	t.ConfessFirst = max(t.ConfessFirst, leastFirst)
	t.Liveness, t.Audit = t.Liveness.Scale(factor), t.Audit.Scale(factor)
	t.Lease = t.Lease.Scale(factor)
	return t
}

// leastEvery is how often, at most, work is looked for in a testnet.
const leastEvery = 500 * time.Millisecond

// leastFirst bounds ConfessFirst in a testnet: a member that confessed comes back
// some seconds later, and must not come too late.
const leastFirst = time.Second

// all lists the times, except those of Liveness, Audit and Lease.
func (t *Timing) all() []*time.Duration {
	return []*time.Duration{&t.DeleteDelay, &t.UpkeepEvery, &t.GossipEvery, &t.NotesEvery, &t.ExchangeEvery,
		&t.ScrubEvery, &t.ScrubFirst, &t.MendRetry, &t.MendMonth, &t.LendEvery, &t.ConfessedFor, &t.ConfessFirst, &t.RepairDay, &t.RepairEvery, &t.NomineeFor, &t.EnterAgain}
}

func (t Timing) withDefaults() Timing {
	d := DefaultTiming()
	for i, v := range t.all() {
		*v = cmp.Or(*v, *d.all()[i])
	}
	t.Liveness = cmp.Or(t.Liveness, d.Liveness)
	t.Lease = cmp.Or(t.Lease, d.Lease)
	t.Audit = cmp.Or(t.Audit, d.Audit)
	return t
}
