package audit

import "time"

// Settings are the numbers of auditing, each in one place. Scale turns them into
// those of a testnet.
type Settings struct {
	Cycle         time.Duration // in which each shard is audited once; at least 1 ms
	SampleEvery   time.Duration // between two samples of one neighbour
	SampleStretch time.Duration // the same from ManyNeighbours on
	ProofFor      time.Duration // for which an audit that succeeded is proof of health
	MendWithin    time.Duration // for which a failure that stands alone, or that the holder reported, is tolerated

	ManyNeighbours int // from which on samples are stretched
	EntryShards    int // shards of a slot that an entry audit asks for, at most; up to 255
	SlowTries      int // how often a shard whose holder was too slow is asked for again before it counts
	FailedPercent  int // of the shards audited: where more than these are failed and unmended, the holder has failed
}

const day = 24 * time.Hour

// DefaultSettings returns what a network runs with.
func DefaultSettings() Settings {
	return Settings{
		Cycle:          30 * day,
		SampleEvery:    day,
		SampleStretch:  30 * day,
		ProofFor:       35 * day,
		MendWithin:     7 * day,
		ManyNeighbours: 1000,
		EntryShards:    16,
		SlowTries:      3,
		FailedPercent:  4,
	}
}

// Scale multiplies every duration by factor. All decisions scale with it.
func (s Settings) Scale(factor float64) Settings {
	for _, d := range [...]*time.Duration{&s.Cycle, &s.SampleEvery, &s.SampleStretch, &s.ProofFor, &s.MendWithin} {
		*d = time.Duration(float64(*d) * factor)
	}
	return s
}
