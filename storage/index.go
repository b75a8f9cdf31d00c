package storage

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// Buckets of the index. All of it can be made again from the logs.
const (
	bucketShards  = "shards"  // segment ‖ slot → entry
	bucketMembers = "members" // group ‖ segment ‖ slot → size, stored
	bucketFacts   = "facts"   // group ‖ ID → entry
	bucketGroups  = "groups"  // group → how many shards and facts
	bucketLogs    = "logs"    // log → logCount
	bucketMeta    = "meta"

	metaFormat  = "format"
	metaStore   = "store"  // digest of the store's key
	metaTotals  = "totals" // shards, groups
	indexFormat = "cairn index 1"
)

var errIndex = errors.New("index is malformed")

// entry says where a live record lies, and what is needed to read it.
type entry struct {
	place
	desc, outboard, data uint32
	factKind             uint8
	group                protocol.GroupID
}

const entrySize = 8 + 8 + 4 + 4 + 4 + 1 + 32

func (e *entry) size() int64 { return recordSize(int(e.desc), int(e.outboard), int(e.data)) }

func entryOf(h *header, at place) entry {
	return entry{at, h.desc, h.outboard, h.data, h.factKind, h.group}
}

func (e *entry) encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, entrySize)
	b = le.AppendUint64(b, e.log)
	b = le.AppendUint64(b, uint64(e.off))
	b = le.AppendUint32(b, e.desc)
	b = le.AppendUint32(b, e.outboard)
	b = le.AppendUint32(b, e.data)
	b = append(b, e.factKind)
	return append(b, e.group[:]...)
}

func decodeEntry(b []byte) (entry, error) {
	if len(b) != entrySize {
		return entry{}, errIndex
	}
	le := binary.LittleEndian
	return entry{
		place: place{le.Uint64(b), int64(le.Uint64(b[8:]))},
		desc:  le.Uint32(b[16:]), outboard: le.Uint32(b[20:]), data: le.Uint32(b[24:]),
		factKind: b[28], group: [32]byte(b[29:]),
	}, nil
}

// index knows where everything lies. One goroutine at a time changes it.
type index struct {
	*table
	*ledger
	store []byte // digest of the store's key: whose logs these are
}

// recordKey returns the bucket and the key of the shard or fact that a record, or
// a kill, is about.
func (h *header) recordKey() (bucket string, key []byte) {
	if h.kind == shardRecord || h.kind == shardKillRecord {
		return bucketShards, shardRow(h.shardKey())
	}
	return bucketFacts, append(h.group[:len(h.group):len(h.group)], h.id[:]...)
}

func shardRow(k ShardKey) []byte { return append(k.Segment[:len(k.Segment):len(k.Segment)], k.Slot) }

func memberRow(g protocol.GroupID, k ShardKey) []byte {
	return append(append(g[:len(g):len(g)], k.Segment[:]...), k.Slot)
}

// lookup returns the entry of a shard or fact, nil if it is not held. The
// caller holds mu.
func (x *index) lookup(bucket string, key []byte) (*entry, error) {
	b, err := x.get(bucket, key)
	return found(b, err)
}

// find is lookup for callers that do not hold mu.
func (x *index) find(bucket string, key []byte) (*entry, error) {
	b, err := x.read(bucket, key)
	return found(b, err)
}

func found(b []byte, err error) (*entry, error) {
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	if b == nil {
		return nil, nil
	}
	e, err := decodeEntry(b)
	if err != nil {
		return nil, err
	}
	return &e, nil
}

// apply enters one record of a log. Records must come in the order in which they
// were written, kills after their victims. It returns the entry that the record
// replaced; a later kill should name that one. The caller holds mu.
func (x *index) apply(h *header, at place) (replaced *entry, err error) {
	if h.kind == startRecord {
		return nil, nil
	}
	bucket, key := h.recordKey()
	old, err := x.lookup(bucket, key)
	if err != nil {
		return nil, err
	}
	if h.isKill() {
		if old != nil && old.place == h.victim {
			err = x.forget(h, old, bucket, key)
		}
		x.kill(at.log, h.victim.log, h.size())
		return nil, err
	}
	if old != nil {
		if err := x.forget(h, old, bucket, key); err != nil {
			return nil, err
		}
	}
	x.charge(at.log, h.size())
	e := entryOf(h, at)
	x.set(bucket, key, e.encode())
	if h.kind == shardRecord {
		b := binary.LittleEndian.AppendUint32(nil, h.data)
		b = binary.LittleEndian.AppendUint64(b, uint64(h.stored))
		x.set(bucketMembers, memberRow(h.group, h.shardKey()), b)
	}
	return old, x.count(h, h.group, +1)
}

// forget drops the entry of a record that is dead.
func (x *index) forget(h *header, old *entry, bucket string, key []byte) error {
	x.charge(old.log, -old.size())
	x.set(bucket, key, nil)
	if bucket == bucketShards {
		x.set(bucketMembers, memberRow(old.group, h.shardKey()), nil)
	}
	return x.count(h, old.group, -1)
}

// count changes how many shards or facts of a group there are.
func (x *index) count(h *header, g protocol.GroupID, by int) error {
	b, err := x.get(bucketGroups, g[:])
	if err != nil {
		return fmt.Errorf("read index: %w", err)
	}
	le := binary.LittleEndian
	var shards, facts uint32
	if b == nil {
		x.groups++
	} else {
		if len(b) != 8 {
			return errIndex
		}
		shards, facts = le.Uint32(b), le.Uint32(b[4:])
	}
	if h.kind == shardRecord || h.kind == shardKillRecord {
		shards += uint32(by)
		x.shards += by
	} else {
		facts += uint32(by)
	}
	if shards == 0 && facts == 0 {
		x.groups--
		x.set(bucketGroups, g[:], nil)
		return nil
	}
	x.set(bucketGroups, g[:], le.AppendUint32(le.AppendUint32(nil, shards), facts))
	return nil
}

// save commits all that waits. A call during another one waits for its end, then
// commits what has come since.
func (x *index) save() error {
	return x.flush(func() map[string]map[string][]byte { return x.encode(x.store) })
}

// load reads the counts. It returns errIndex for an index of other logs or of
// another format; an empty one is as it should be for a store without logs.
func (x *index) load() error {
	return x.db.View(func(tx *kv.Tx) error {
		format, ok := tx.Get(bucketMeta, []byte(metaFormat))
		if !ok {
			return nil
		}
		store, _ := tx.Get(bucketMeta, []byte(metaStore))
		totals, _ := tx.Get(bucketMeta, []byte(metaTotals))
		if string(format) != indexFormat || !bytes.Equal(store, x.store) || len(totals) != 16 {
			return errIndex
		}
		x.shards = int(binary.LittleEndian.Uint64(totals))
		x.groups = int(binary.LittleEndian.Uint64(totals[8:]))
		for k, v := range tx.Scan(bucketLogs, nil) {
			c, err := decodeLogCount(v)
			if err != nil || len(k) != 8 {
				return errIndex
			}
			x.logs[binary.BigEndian.Uint64(k)] = c
			x.live += c.live
			x.size += c.size
		}
		return nil
	})
}

// groupPage is how many groups a walk over them reads at a time.
const groupPage = 1024

// eachGroup yields the groups in order.
func (x *index) eachGroup() iter.Seq2[protocol.GroupID, error] {
	return func(yield func(protocol.GroupID, error) bool) {
		var from []byte
		for {
			keys, err := x.page(bucketGroups, from, groupPage)
			if err != nil {
				yield(protocol.GroupID{}, fmt.Errorf("read index: %w", err))
				return
			}
			for _, k := range keys {
				if !yield(k, nil) {
					return
				}
			}
			if len(keys) < groupPage {
				return
			}
			from = append(keys[len(keys)-1][:], 0) // the first key after it
		}
	}
}
