package storage

import (
	"bytes"
	"context"
	"errors"
	"hash/crc32"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Limits of what a store takes, in bytes.
const (
	MaxDescriptor = 16 << 10
	MaxOutboard   = 64 << 10
	MaxData       = protocol.MaxShardSize
	MaxFact       = 16 << 10
)

// The kinds of errors that stores return; test with errors.Is.
var (
	// ErrNotFound says that the store works and does not hold the thing.
	ErrNotFound = errors.New("not held")

	// ErrFull says that the donation or the file system's reserve is used up.
	// Deleting still works, as long as the file system has room for a record of
	// it (144 bytes).
	ErrFull = errors.New("full")

	// ErrSuspended says that the disk is not there, as when it is not mounted:
	// nothing is known to be lost.
	ErrSuspended = errors.New("disk is missing")

	// ErrFailed says that the disk failed while it made something durable.
	// Nothing is acknowledged any more until the store is opened again.
	ErrFailed = errors.New("disk has failed")

	// ErrCorrupt says that the disk returns other bytes than were stored.
	ErrCorrupt = errors.New("stored bytes are damaged")

	// ErrForeign says that the folder belongs to another node, or holds something
	// other than a store.
	ErrForeign = errors.New("folder is another's")

	// ErrInUse says that another process has the folder open.
	ErrInUse = errors.New("in use by another process")

	// ErrConflict says that the shard is held for another group.
	ErrConflict = errors.New("held for another group")

	// ErrLimit says that a part of a shard or fact is beyond its limit, or empty
	// where it must not be.
	ErrLimit = errors.New("outside the limits of a store")

	// ErrClosed says that the store was closed.
	ErrClosed = errors.New("store is closed")
)

// ShardKey names a shard: slot i of a segment.
type ShardKey struct {
	Segment protocol.SegmentID
	Slot    uint8
}

// Shard is what a store keeps of a shard.
type Shard struct {
	Key        ShardKey
	Group      protocol.GroupID
	Descriptor []byte // of the segment; 1 to MaxDescriptor bytes
	Data       []byte // 1 to MaxData bytes
	Outboard   []byte // the tree of hashes over Data; at most MaxOutboard bytes
	Sum        *Sum   // of all of Data, computed as it arrived; nil: the store computes it
}

// Sum is a checksum of the data that is written to it. A caller that receives a
// shard piece by piece can compute the checksum on the way, which spares the
// store from reading all of the shard again. A shard that comes with the checksum
// of other data counts as damaged from the beginning.
type Sum struct {
	crc uint32
	n   int // bytes written
}

// Write adds b to the checksum. It never fails.
func (s *Sum) Write(b []byte) (int, error) {
	s.crc = crc32.Update(s.crc, castagnoli, b)
	s.n += len(b)
	return len(b), nil
}

// ShardInfo describes a held shard without reading it.
type ShardInfo struct {
	Key    ShardKey
	Group  protocol.GroupID
	Size   int64 // bytes of its data
	Stored time.Time
}

// Fact is one fact of a group, or a note that the node keeps with the facts.
type Fact struct {
	Group protocol.GroupID
	Kind  uint8
	Bytes []byte // at most MaxFact bytes
}

// FactInfo describes a held fact without reading it.
type FactInfo struct {
	Group protocol.GroupID
	ID    protocol.Hash
	Kind  uint8
	Size  int64 // bytes
}

// ID returns the fact's name within its group, the same that protocol.Fact
// gives it.
func (f Fact) ID() protocol.Hash {
	return protocol.Fact{Kind: protocol.FactKind(f.Kind), Bytes: f.Bytes}.ID()
}

// Usage tells how a store's bytes are spent.
type Usage struct {
	Donated  int64 // the quota
	Used     int64 // by live records, each with its header
	Reserved int64 // bytes that stay free on the file system
	Free     int64 // what can still be stored, by quota and by the file system
	Shards   int
	Groups   int
	Err      error // nil, or why nothing can be stored: ErrSuspended or ErrFailed
}

// ShardReader reads one held shard. It stays valid while others delete or move
// the shard. ReadAt returns bytes as the disk gives them, unchecked: a caller
// that passes on a part of the data must check it against the outboard.
type ShardReader interface {
	Info() ShardInfo
	Descriptor() []byte        // must not be changed
	Outboard() ([]byte, error) // ErrCorrupt when damaged
	io.ReaderAt                // over the data
	ReadAll(dst []byte) error  // fills dst, which must be as long as the data; ErrCorrupt unless that is what was stored
	io.Closer
}

// Store keeps one node's shards and facts. All methods are safe for concurrent
// use.
//
// What was acknowledged (the method returned nil) survives the end of the
// process, power loss and a full disk. What was not acknowledged is there wholly
// or not at all. A deleted shard or fact is gone for good once the delete is
// acknowledged. An iterator yields exactly once each thing that is there for as
// long as it runs. It ends with its first error, with one exception: an
// ErrCorrupt from Facts stands for one damaged fact, and others follow.
type Store interface {
	// PutShard returns nil only when the shard is durable. It is idempotent: a
	// key that is held already is not written again, unless it was found damaged
	// (by Verify, or by reading): then it is replaced. The caller may reuse the
	// shard's memory once PutShard has returned, whatever the result. ctx bounds
	// the wait for a turn, not the writing. Errors: ErrFull, ErrFailed,
	// ErrSuspended, ErrConflict, ErrLimit.
	PutShard(ctx context.Context, s *Shard) error

	// OpenShard opens a held shard for reading. Errors: ErrNotFound, ErrCorrupt,
	// ErrSuspended.
	OpenShard(ctx context.Context, key ShardKey) (ShardReader, error)

	// Verify reads all of a held shard and compares it with what was stored.
	// Errors: ErrNotFound, ErrCorrupt, ErrSuspended.
	Verify(ctx context.Context, key ShardKey) error

	// DeleteShard returns nil once it is durable that the shard is not held.
	// Deleting a shard that is not held is no error. The disk's space comes back
	// later.
	DeleteShard(ctx context.Context, key ShardKey) error

	// PutFact returns nil only when all the facts are durable; they may be of
	// several groups. It is idempotent. Errors: as PutShard.
	PutFact(ctx context.Context, facts ...Fact) error

	// DeleteFact returns nil once it is durable that the fact is not held.
	// Deleting a fact that is not held is no error.
	DeleteFact(ctx context.Context, g protocol.GroupID, id protocol.Hash) error

	// Facts yields a group's facts in order of their IDs. In place of a damaged
	// one it yields ErrCorrupt, with its group and kind.
	Facts(ctx context.Context, g protocol.GroupID) iter.Seq2[Fact, error]

	// Fact reads one fact. Errors: ErrNotFound, ErrCorrupt, ErrSuspended.
	Fact(ctx context.Context, g protocol.GroupID, id protocol.Hash) (Fact, error)

	// FactInfos describes the facts that are held of a group, in order of their
	// IDs. It reads none of them.
	FactInfos(ctx context.Context, g protocol.GroupID) iter.Seq2[FactInfo, error]

	// Groups yields the groups of which anything is held, in order of their IDs.
	Groups(ctx context.Context) iter.Seq2[protocol.GroupID, error]

	// GroupByPrefix finds a held group; of several with one prefix, the first.
	// Errors: ErrNotFound.
	GroupByPrefix(ctx context.Context, p protocol.GroupPrefix) (protocol.GroupID, error)

	// Shards yields what is held of a group, in order of segments and slots.
	Shards(ctx context.Context, g protocol.GroupID) iter.Seq2[ShardInfo, error]

	// Find names the shard that is held of a segment; of several, that of the
	// lowest slot. Errors: ErrNotFound.
	Find(ctx context.Context, s protocol.SegmentID) (ShardKey, error)

	// Usage tells how full the store is, and whether it works. It reads nothing
	// but counters.
	Usage() Usage

	// Close waits for what is being written and lets others open the store.
	// Methods called later return ErrClosed.
	Close() error
}

// check refuses a shard that no store takes.
func (s *Shard) check() error {
	switch {
	case len(s.Descriptor) < 1 || len(s.Descriptor) > MaxDescriptor,
		len(s.Data) < 1 || len(s.Data) > MaxData,
		s.Sum != nil && s.Sum.n != len(s.Data),
		len(s.Outboard) > MaxOutboard:
		return ErrLimit
	}
	return nil
}

// compare orders shards by segment and slot.
func (k ShardKey) compare(o ShardKey) int {
	if c := bytes.Compare(k.Segment[:], o.Segment[:]); c != 0 {
		return c
	}
	return int(k.Slot) - int(o.Slot)
}

// String writes the key as errors and logs name it.
func (k ShardKey) String() string { return k.Segment.String() + "/" + strconv.Itoa(int(k.Slot)) }
