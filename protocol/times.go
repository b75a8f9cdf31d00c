package protocol

import "time"

// What owners, holders and neighbours must count alike. A testnet scales these
// times where it uses them.
const (
	// DeleteDelay is how long holders keep the bytes of what is deleted (SPEC.md,
	// Delete).
	DeleteDelay = 7 * 24 * time.Hour
	// MaxAway is how long a node may be away by its own word, in all, within
	// AbsencePeriod (SPEC.md, Beat): neighbours believe no more.
	MaxAway = 30 * 24 * time.Hour
	// MaxSuspended is how long a node's disk may be missing, or the node paused,
	// within AbsencePeriod.
	MaxSuspended  = 7 * 24 * time.Hour
	AbsencePeriod = 180 * 24 * time.Hour
)
