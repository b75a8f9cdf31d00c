package group

import "github.com/cairnstore/cairn/protocol"

// MaxSegments is the most segments that one group is ever granted.
const MaxSegments = protocol.MaxGroupSegments

// bytesPerData is how many sealed bytes a group takes for each data shard.
const bytesPerData = 1 << 30

// minSpare is how many holders a profile must be able to lose to count as
// safe: with fewer, one death leaves nothing to spare.
const minSpare = 2

// step is one rung of the ladder: the profile for that many domains or more.
type step struct {
	domains int
	profile protocol.Profile
}

// ladder descends; the last rung needs one domain.
var ladder = [...]step{
	{64, protocol.Profile{K: 20, R: 36, N: 56}},
	{34, protocol.Profile{K: 8, R: 20, N: 30}},
	{15, protocol.Profile{K: 4, R: 9, N: 14}},
	{7, protocol.Profile{K: 2, R: 4, N: 6}},
	{3, protocol.Profile{K: 1, R: 2, N: 3}},
	{2, protocol.Profile{K: 1, R: 1, N: 2}},
	{1, protocol.Profile{K: 1, R: 1, N: 1}},
}

// Ladder returns the profile for a number of eligible failure domains; ok is
// false where there is none.
func Ladder(domains int) (p protocol.Profile, ok bool) {
	for _, s := range ladder {
		if domains >= s.domains {
			return s.profile, true
		}
	}
	return protocol.Profile{}, false
}

// NotSafe reports whether every command must say "not safe yet": the group
// cannot lose two holders and still give its segments back.
func NotSafe(p protocol.Profile) bool { return p.N-p.K < minSpare }

// SafeAt returns how many durable shards of a segment make it safe, and how
// many acceptances form a group: ⌈(r+n)/2⌉.
func SafeAt(p protocol.Profile) int { return (p.R + p.N + 1) / 2 }

// WriteQuorum returns W, how many members must accept a pointer: ⌈(r+n)/2⌉.
func WriteQuorum(p protocol.Profile) int { return SafeAt(p) }

// ConfirmCount returns how many members of different failure domains confirm a
// pointer that was read: n − W + 1, so that one of them took part in every write.
func ConfirmCount(p protocol.Profile) int { return p.N - WriteQuorum(p) + 1 }

// AskCount returns how many candidates are asked to take a slot: n + ⌊n/10⌋.
func AskCount(p protocol.Profile) int { return p.N + p.N/10 }

// MaxBytes returns the most sealed bytes that one group takes: k × 1 GiB.
func MaxBytes(p protocol.Profile) int64 { return int64(p.K) * bytesPerData }

// ShareOf returns the bytes that one member keeps of size sealed bytes, of which a
// group takes MaxBytes at most: what an owner has each reserve, and the most that
// a node promises. Padding, outboards and descriptors take less than an eighth.
func ShareOf(p protocol.Profile, size int64) int64 {
	size = min(size, MaxBytes(p))
	return size/int64(p.K) + size/int64(8*p.K) + groupCost
}

// groupCost is what a group takes at each member beside its shards.
const groupCost = 64 << 10
