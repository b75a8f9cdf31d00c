package protocol

import (
	"fmt"
	"strconv"
	"strings"
)

// Limits of a profile and of what it codes.
const (
	MaxShards    = 128      // n of any profile
	MaxShardSize = 4 << 20  // bytes of one shard
	MaxSegment   = 64 << 20 // sealed bytes of one segment, of any profile
	shardAlign   = 64       // a shard's length in bytes is a multiple of this
)

// Profile says how a segment is coded: any K of its N shards give it back, and the
// group repairs itself when R or fewer are left.
type Profile struct {
	K int `cbor:"k"`
	R int `cbor:"r"`
	N int `cbor:"n"`
}

// String writes the profile as k/r/n.
func (p Profile) String() string { return fmt.Sprintf("%d/%d/%d", p.K, p.R, p.N) }

// ParseProfile reads a profile as String writes it.
func ParseProfile(text string) (Profile, error) {
	f := strings.Split(text, "/")
	if len(f) != 3 {
		return Profile{}, malformed("profile", "%q is not of the form k/r/n", text)
	}
	var v [3]int
	for i, s := range f {
		n, err := strconv.Atoi(s)
		if err != nil {
			return Profile{}, malformed("profile", "%q is not of the form k/r/n", text)
		}
		v[i] = n
	}
	p := Profile{v[0], v[1], v[2]}
	return p, p.Validate()
}

// Validate checks 1 ≤ k ≤ r ≤ n ≤ min(MaxShards, 5k).
func (p Profile) Validate() error {
	if p.K < 1 || p.R < p.K || p.N < p.R || p.N > MaxShards || p.N > 5*p.K {
		return malformed("profile", "%d/%d/%d is not 1 ≤ k ≤ r ≤ n ≤ min(%d, 5k)", p.K, p.R, p.N, MaxShards)
	}
	return nil
}

// SegmentSize returns the most sealed bytes in one segment of k data shards.
func SegmentSize(k int) int64 { return min(MaxSegment, int64(k)*MaxShardSize) }

// ShardSize returns the length in bytes of each shard of a segment of size
// bytes: ⌈size/k⌉, rounded up to a multiple of 64.
func ShardSize(size int64, k int) int64 {
	per := (size + int64(k) - 1) / int64(k)
	return (per + shardAlign - 1) / shardAlign * shardAlign
}
