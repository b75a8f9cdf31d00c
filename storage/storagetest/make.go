package storagetest

import (
	"math/rand/v2"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Sizes are lengths of shards, in bytes, each with its reason.
var Sizes = []int{
	1,                         // the least that a store takes
	7,                         // the header ends at a multiple of 8, the record does not
	8,                         //
	64,                        // the least that coding makes
	protocol.LeafSize,         // one leaf
	protocol.LeafSize + 64,    // just more than one
	1 << 20,                   // above any buffer of small writes
	protocol.MaxShardSize,     // the most
	protocol.MaxShardSize - 1, //
}

// Shard returns a shard of size bytes that seed determines. group and segment are
// numbers that stand for IDs.
func Shard(seed uint64, group, segment, slot, size int) *storage.Shard {
	rng := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), byte(group), byte(segment), byte(segment >> 8), byte(slot)})
	s := &storage.Shard{
		Key:        storage.ShardKey{Segment: Segment(segment), Slot: uint8(slot)},
		Group:      Group(group),
		Descriptor: make([]byte, 1+segment%700),
		Data:       make([]byte, size),
	}
	_, _ = rng.Read(s.Descriptor) // never fails
	_, _ = rng.Read(s.Data)
	s.Outboard, _ = protocol.Outboard(s.Data)
	return s
}

// Fact returns a fact of size bytes that n determines.
func Fact(group, n, size int) storage.Fact {
	f := storage.Fact{Group: Group(group), Kind: uint8(1 + n%7), Bytes: make([]byte, size)}
	rng := rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(group)})
	_, _ = rng.Read(f.Bytes) // never fails
	return f
}

// Group returns the ID of group number n.
func Group(n int) protocol.GroupID {
	return protocol.GroupID(protocol.Sum([]byte{'g', byte(n), byte(n >> 8)}))
}

// Segment returns the ID of segment number n.
func Segment(n int) protocol.SegmentID {
	return protocol.SegmentID(protocol.Sum([]byte{'s', byte(n), byte(n >> 8)}))
}
