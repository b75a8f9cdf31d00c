package audit

import (
	"time"

	"github.com/cairnstore/cairn/protocol/group"
)

// Outcome is the outcome of one audit of one shard.
type Outcome uint8

// The outcomes.
const (
	OK        Outcome = iota // the chunk fits the root
	Offline                  // no answer, nor to a beat right after: liveness judges, not audit
	Slow                     // no whole answer in time from a holder that answers beats
	Missing                  // the holder says that it has no such shard, which it never reported before
	Corrupt                  // the chunk does not fit the root
	Suspended                // the holder has lost sight of its disk
	Reported                 // the holder had reported the loss itself before it was asked
)

// String names the outcome in lower case.
func (o Outcome) String() string {
	return [...]string{"ok", "offline", "slow", "missing", "corrupt", "suspended", "self-reported"}[o]
}

// Next is what the auditor does after an outcome.
type Next uint8

// The next steps.
const (
	Done  Next = iota // nothing: the audit is over
	Again             // ask for the same shard again, never for another instead
	Tell              // the shard counts as failed: tell its holder, and ask again until it is mended
)

// Record is what a node's own audits say of one holder: 64 bytes without a
// pointer. The zero Record is that of a holder that was never audited. Its fields
// are for saving it; its methods decide.
//
// The node keeps next to it which shards failed: each is passed to Saw once when
// it fails, and to Mended or Dropped once when it no longer does.
type Record struct {
	ProvedAt   time.Duration // the last audit that succeeded; meaningless while Proved is false
	FailedAt   time.Duration // since when a failure is unmended; meaningless while Unmended is 0
	ReportedAt time.Duration // since when a self-reported one is; meaningless while Self is 0
	Turned     time.Duration // where Audited begins and Before ends

	Audited  uint32 // shards audited since Turned
	Before   uint32 // shards audited in the ProofFor before Turned
	Unmended uint32 // shards found missing or corrupt, or too slow too often
	Self     uint32 // shards that the holder reported itself, unmended
	Slow     uint8  // times in a row that one shard's answer was too slow
	Proved   bool   // an audit has succeeded
}

// Saw takes note of an outcome at a moment of the watch and says what is next.
func (r Record) Saw(set *Settings, now time.Duration, o Outcome) (Record, Next) {
	switch o {
	case OK:
		r = r.count(set, now)
		r.ProvedAt, r.Proved, r.Slow = now, true, 0
		return r, Done
	case Slow:
		if int(r.Slow) < set.SlowTries {
			r.Slow++
			return r, Again
		}
		r.Slow = 0
		return r.fail(set, now), Tell
	case Missing, Corrupt:
		return r.fail(set, now), Tell
	case Reported:
		r = r.count(set, now)
		if r.Self == 0 {
			r.ReportedAt = now
		}
		r.Self++
		return r, Tell
	}
	return r, Again // Offline, Suspended: proves nothing either way
}

// Mended takes note that a failed shard was audited again and is there.
func (r Record) Mended(set *Settings, now time.Duration, self bool) Record {
	r = r.Dropped(self)
	r, _ = r.Saw(set, now, OK)
	return r
}

// Dropped takes note that a failed shard is no longer asked for: its segment was
// deleted. self: the holder had reported the loss itself.
func (r Record) Dropped(self bool) Record {
	if self {
		r.Self -= min(r.Self, 1)
	} else {
		r.Unmended -= min(r.Unmended, 1)
	}
	return r
}

// Failed reports whether the holder has failed: more than FailedPercent of what
// was audited within ProofFor failed and is unmended. A single failure is tolerated
// for MendWithin, and so is what the holder reported itself, however much it is: it
// has time to mend it, and none of it counts as held meanwhile.
func (r Record) Failed(set *Settings, now time.Duration) bool {
	bad := uint64(r.Unmended)
	if bad == 1 && now-r.FailedAt < set.MendWithin {
		bad = 0
	}
	if r.Self > 0 && now-r.ReportedAt >= set.MendWithin {
		bad += uint64(r.Self)
	}
	return float64(bad)*100 > float64(set.FailedPercent)*r.audited(set, now)
}

// Healthy reports whether the holder's slots count for health: an audit within
// ProofFor succeeded, and it has not failed.
func (r Record) Healthy(set *Settings, now time.Duration) bool {
	return r.Proved && now-r.ProvedAt <= set.ProofFor && !r.Failed(set, now)
}

// Mark puts what the record says of the holder of a seat into a view.
// liveness.Standing adds what the holder's silence says.
func (r Record) Mark(set *Settings, now time.Duration, v *group.View, seat int) {
	if r.Failed(set, now) {
		v.Gone.Add(seat)
		v.Living.Remove(seat)
	}
	if !r.Healthy(set, now) {
		v.Unaudited.Add(seat)
	}
}

// Readmitted returns the record of a holder that had failed and has passed an
// entry audit since: what it proved stays, its failures are forgotten.
func (r Record) Readmitted() Record {
	r.Unmended, r.Self, r.Slow = 0, 0, 0
	return r
}

func (r Record) fail(set *Settings, now time.Duration) Record {
	r = r.count(set, now)
	if r.Unmended == 0 {
		r.FailedAt = now
	}
	r.Unmended++
	r.Slow = 0
	return r
}

// count adds one shard to those audited.
func (r Record) count(set *Settings, now time.Duration) Record {
	r = r.turned(set, now)
	r.Audited++
	return r
}

// turned moves the window of what was audited on to now: two spans of ProofFor.
func (r Record) turned(set *Settings, now time.Duration) Record {
	switch age := now - r.Turned; {
	case r.Audited+r.Before == 0 || age >= 2*set.ProofFor:
		r.Turned, r.Before, r.Audited = now, 0, 0
	case age >= set.ProofFor:
		r.Turned, r.Before, r.Audited = r.Turned+set.ProofFor, r.Audited, 0
	}
	return r
}

// audited returns how many shards were audited within ProofFor. Of the earlier
// span it takes the part that still lies in it, as if its audits were even.
func (r Record) audited(set *Settings, now time.Duration) float64 {
	r = r.turned(set, now)
	return float64(r.Audited) + float64(r.Before)*(1-float64(now-r.Turned)/float64(set.ProofFor))
}
