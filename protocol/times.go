package protocol

import "time"

// Times on which owners, holders and neighbours must agree. A testnet scales these
// times where it uses them.
const (
	// DeleteDelay is how long holders keep the bytes of a deleted subject (SPEC.md,
	// Delete).
	DeleteDelay = 7 * 24 * time.Hour
	// MaxAway is how long in all, within AbsencePeriod, a node may be away as it
	// says itself (SPEC.md, Beat): beyond that neighbours do not believe it.
	MaxAway = 30 * 24 * time.Hour
	// MaxSuspended is how long a node's disk may be missing, or the node paused,
	// within AbsencePeriod.
	MaxSuspended  = 7 * 24 * time.Hour
	AbsencePeriod = 180 * 24 * time.Hour
)
