package node

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// groupState is what this node knows of one group: the facts that count, in
// compact form, and the segments held. It is a cache of the store's facts;
// groupcache.go keeps it while it is used.
type groupState struct {
	id protocol.GroupID

	// turn holds one token: who takes it changes facts, or needs to see only
	// facts that are durable. A channel, so that waiting ends with a context.
	turn chan struct{}

	// proven reports whether a peer is a member by proof; nil: nobody is.
	proven func(peer.ID) bool

	ahead     time.Duration // by which renewals may be dated ahead of the clock; set once
	partial   bool          // a folder was missing when it was loaded; set once
	forgotten bool          // the cache has dropped it, for it may lie; guarded by turn

	mu          sync.Mutex // everything below; never held over I/O
	record      *protocol.GroupRecord
	recordRaw   []byte
	table       *protocol.Table
	tableRaw    []byte
	slot        int     // this node's, by the table or by nomination; -1: none
	nominated   int     // the slot that it was nominated for; -1: none
	nominator   peer.ID // by whom
	nominatedAt time.Time
	renewal     kept
	envelopes   map[peer.ID]keptEnvelope
	grants      map[string]keptGrant // by subject
	deletes     map[string]protocol.Hash
	pointers    map[protocol.PointerID][]keptPointer
	ids         map[protocol.Hash]int // names of all facts that count, and their bytes
	segments    int                   // subjects ever granted or deleted
	granted     int                   // segments that grants name now
	pointed     int
	granting    map[string]int                  // grants on their way to the store, by subject
	held        map[protocol.SegmentID]struct{} // durable here
	rotten      map[protocol.SegmentID]struct{} // of them, those that the disk damaged since
	unsaved     map[protocol.Hash]struct{}      // merged, not yet durable
	digests     map[digestKind][]byte           // nil after a change
	root        []byte                          // protocol.DigestsRoot of both; nil after a change
	rawBytes    int
}

type kept struct {
	id protocol.Hash
	at int64
}

type keptEnvelope struct {
	id  protocol.Hash
	seq uint64
	raw []byte
}

type keptGrant struct {
	id    protocol.Hash
	bytes int64
}

type keptPointer struct {
	id  protocol.Hash
	seq int64
	raw []byte
}

func newGroupState(id protocol.GroupID) *groupState {
	return &groupState{
		id: id, turn: make(chan struct{}, 1), slot: -1, nominated: -1,
		envelopes: make(map[peer.ID]keptEnvelope),
		grants:    make(map[string]keptGrant),
		deletes:   make(map[string]protocol.Hash),
		pointers:  make(map[protocol.PointerID][]keptPointer),
		ids:       make(map[protocol.Hash]int),
		granting:  make(map[string]int),
		held:      make(map[protocol.SegmentID]struct{}),
		rotten:    make(map[protocol.SegmentID]struct{}),
		unsaved:   make(map[protocol.Hash]struct{}),
		digests:   make(map[digestKind][]byte),
	}
}

// take waits for the turn; give returns it.
func (g *groupState) take(ctx context.Context) error {
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *groupState) give() { <-g.turn }

// founded returns record and table, or a refusal where one is missing.
func (g *groupState) founded() (*protocol.GroupRecord, *protocol.Table, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.record == nil || g.table == nil {
		return nil, nil, protocol.Refuse(protocol.CodeUnknown, "record or table of group %s is not held", g.id.Prefix())
	}
	return g.record, g.table, nil
}

// isFounded reports whether record and table are held.
func (g *groupState) isFounded() bool {
	_, _, err := g.founded()
	return err == nil
}

// saved notes that all merged facts are durable.
func (g *groupState) saved() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.unsaved)
}

// knows reports whether a fact is one of those that count here.
func (g *groupState) knows(id protocol.Hash) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.ids[id]
	return ok
}

// ownSlot returns this node's slot; -1: it has none.
func (g *groupState) ownSlot() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.slot
}

// deleted reports whether the owner deleted a subject.
func (g *groupState) deleted(subject []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.deletes[string(subject)]
	return ok
}

// keyOf names a segment's shard as the store does; ok is false where it is not
// held, or where the table that tells the slot was lost.
func (g *groupState) keyOf(s protocol.SegmentID) (key storage.ShardKey, p protocol.Profile, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.held[s]; !ok || g.table == nil {
		return key, p, false
	}
	return storage.ShardKey{Segment: s, Slot: uint8(g.slot)}, g.table.Profile, true
}

// holdsLocked reports whether a segment's shard is durable here, not deleted
// and not known to be damaged. g.mu is held.
func (g *groupState) holdsLocked(s protocol.SegmentID) bool {
	if _, gone := g.deletes[string(s[:])]; gone {
		return false
	}
	if _, bad := g.rotten[s]; bad {
		return false
	}
	_, ok := g.held[s]
	return ok
}

// durableGrant reports whether a grant is in the store already.
func (g *groupState) durableGrant(id protocol.Hash) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, known := g.ids[id]
	_, unsaved := g.unsaved[id]
	return known && !unsaved
}

// hold notes that a segment's shard is durable; it reports whether that is
// news. mu is held.
func (g *groupState) hold(s protocol.SegmentID) bool {
	if _, ok := g.held[s]; ok {
		return false
	}
	g.held[s] = struct{}{}
	g.renamed(digestSegments)
	return true
}

// judge notes whether the disk has damaged a shard that is held.
func (g *groupState) judge(key storage.ShardKey, damaged bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.table != nil && int(key.Slot) != g.slot {
		return
	}
	if damaged {
		g.rotten[key.Segment] = struct{}{}
	} else {
		delete(g.rotten, key.Segment)
	}
	g.renamed(digestSegments)
}

// lose notes that a segment's shard is gone from the store.
func (g *groupState) lose(s protocol.SegmentID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.held, s)
	g.renamed(digestSegments)
}

// grantedNow reports whether the group has something to be found, and how many
// segments its members are to hold.
func (g *groupState) grantedNow() (findable bool, segments int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.grants) > 0, g.granted
}

// Rough sizes, in bytes, of what a state keeps in memory for each thing.
const (
	stateSize   = 4 << 10
	subjectSize = 320 // a grant or a delete, its subject, its name
	heldSize    = 64
)

// size returns about how many bytes the state takes in memory.
func (g *groupState) size() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := stateSize + g.rawBytes + subjectSize*len(g.ids) + heldSize*len(g.held)
	for range g.digests {
		n += protocol.Buckets * len(protocol.Hash{})
	}
	return int64(n)
}

// nominatedBy reports whether a peer's word made this node ready for its slot.
func (g *groupState) nominatedBy(id peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.nominated >= 0 && g.nominator == id
}

// takes reports whether shards are on their way into the store.
func (g *groupState) takes() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.granting) > 0
}
