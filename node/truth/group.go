package truth

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Group is what this node knows of one group: the facts that count, in
// compact form, and the segments held. It is a cache of the store's facts;
// a Cache keeps it while it is used.
type Group struct {
	ID protocol.GroupID

	// turn holds one token: a caller takes it to change facts, or to see only
	// facts that are durable. A channel, so that waiting ends with a context.
	turn chan struct{}

	// proven reports whether a peer is a member by proof; nil: none is.
	proven func(peer.ID) bool

	ahead     time.Duration // by which renewals may be dated ahead of the clock; set once
	Partial   bool          // a folder was missing when it was loaded; set once
	forgotten bool          // the cache has dropped it, because it may be wrong; guarded by turn

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
	grants      map[string]Grant      // by subject
	deletes     map[string]keptDelete // by subject
	pointers    map[protocol.PointerID][]keptPointer
	ids         map[protocol.Hash]int // names of all facts that count, and their bytes
	segments    int                   // subjects ever granted or deleted
	granted     int                   // segments that grants name now
	pointed     int
	granting    map[string]int                  // grants on their way to the store, by subject
	held        map[protocol.SegmentID]struct{} // durable here
	rotten      map[protocol.SegmentID]struct{} // of these, those that the disk has damaged since
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

// Grant is what is kept of a grant: its fact's name, and how many bytes it grants.
type Grant struct {
	ID    protocol.Hash
	Bytes int64
}

type keptDelete struct {
	id  protocol.Hash
	raw []byte // the delete of a pointer: it proves to readers that the owner deleted it; else nil
}

type keptPointer struct {
	id  protocol.Hash
	seq int64
	raw []byte
}

// New returns an empty group, in which renewals may be dated ahead of the clock by
// at most ahead. proven reports whether a peer is a member by proof; nil: none is.
func New(id protocol.GroupID, ahead time.Duration, proven func(peer.ID) bool) *Group {
	return &Group{
		ID: id, ahead: ahead, proven: proven, turn: make(chan struct{}, 1), slot: -1, nominated: -1,
		envelopes: make(map[peer.ID]keptEnvelope),
		grants:    make(map[string]Grant),
		deletes:   make(map[string]keptDelete),
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
func (g *Group) take(ctx context.Context) error {
	select {
	case g.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (g *Group) give() { <-g.turn }

// Saved notes that all merged facts are durable.
func (g *Group) Saved() {
	g.mu.Lock()
	defer g.mu.Unlock()
	clear(g.unsaved)
}

// OwnSlot returns this node's slot; -1: it has none.
func (g *Group) OwnSlot() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.slot
}

// Rough sizes, in bytes, of what a state keeps in memory for each thing.
const (
	stateSize   = 4 << 10
	subjectSize = 320 // a grant or a delete, its subject, its name
	heldSize    = 64
)

// Size returns about how many bytes the state takes in memory.
func (g *Group) Size() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := stateSize + g.rawBytes + subjectSize*len(g.ids) + heldSize*len(g.held)
	for range g.digests {
		n += protocol.Buckets * len(protocol.Hash{})
	}
	return int64(n)
}
