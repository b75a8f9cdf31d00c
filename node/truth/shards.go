package truth

import (
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// KeyOf names a segment's shard as the store does; ok is false where it is not
// held, or where the table that tells the slot was lost.
func (g *Group) KeyOf(s protocol.SegmentID) (key storage.ShardKey, p protocol.Profile, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.held[s]; !ok || g.table == nil {
		return key, p, false
	}
	return storage.ShardKey{Segment: s, Slot: uint8(g.slot)}, g.table.Profile, true
}

// holdsLocked reports whether a segment's shard is durable here, not deleted
// and not known to be damaged. g.mu is held.
func (g *Group) holdsLocked(s protocol.SegmentID) bool {
	if _, gone := g.deletes[string(s[:])]; gone {
		return false
	}
	if _, bad := g.rotten[s]; bad {
		return false
	}
	_, ok := g.held[s]
	return ok
}

// hold notes that a segment's shard is durable; it reports whether that is
// news. mu is held.
func (g *Group) hold(s protocol.SegmentID) bool {
	if _, ok := g.held[s]; ok {
		return false
	}
	g.held[s] = struct{}{}
	g.renamed(digestSegments)
	return true
}

// Judge notes whether the disk has damaged a shard that is held.
func (g *Group) Judge(key storage.ShardKey, damaged bool) {
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

// Found notes a shard that the store has, while the group is loaded. A shard of a
// slot that is not this node's does not count.
func (g *Group) Found(key storage.ShardKey, damaged bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.table != nil && int(key.Slot) != g.slot {
		return
	}
	g.held[key.Segment] = struct{}{}
	if damaged {
		g.rotten[key.Segment] = struct{}{}
	}
}

// Has reports whether a segment's shard is in the store.
func (g *Group) Has(s protocol.SegmentID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.held[s]
	return ok
}

// Lose notes that a segment's shard is gone from the store.
func (g *Group) Lose(s protocol.SegmentID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.held, s)
	g.renamed(digestSegments)
}

// Takes reports whether shards are on their way into the store.
func (g *Group) Takes() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.granting) > 0
}

// Count returns how many segments are held of the group.
func (g *Group) Count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.held)
}
