package truth

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Founded returns record and table, or a refusal where one is missing.
func (g *Group) Founded() (*protocol.GroupRecord, *protocol.Table, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.record == nil || g.table == nil {
		return nil, nil, protocol.Refuse(protocol.CodeUnknown, "record or table of group %s is not held", g.ID.Prefix())
	}
	return g.record, g.table, nil
}

// IsFounded reports whether record and table are held.
func (g *Group) IsFounded() bool {
	_, _, err := g.Founded()
	return err == nil
}

// Knows reports whether a fact is one of those that count here.
func (g *Group) Knows(id protocol.Hash) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.ids[id]
	return ok
}

// Deleted reports whether the owner deleted a subject.
func (g *Group) Deleted(subject []byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, ok := g.deletes[string(subject)]
	return ok
}

// DurableGrant reports whether a grant is in the store already.
func (g *Group) DurableGrant(id protocol.Hash) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, known := g.ids[id]
	_, unsaved := g.unsaved[id]
	return known && !unsaved
}

// Record returns the group's record; nil: it is not held.
func (g *Group) Record() *protocol.GroupRecord {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.record
}

// Founding returns the bytes of record and table, nil where they are not held.
// Nobody may change them.
func (g *Group) Founding() (record, table []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.recordRaw, g.tableRaw
}

// EnvelopeOf returns the newest envelope of a peer among the group's facts; nil:
// there is none. Nobody may change it.
func (g *Group) EnvelopeOf(id peer.ID) protocol.Envelope {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.envelopes[id].raw
}

// GrantedNow reports whether the group has something to be found, and how many
// segments its members are to hold.
func (g *Group) GrantedNow() (findable bool, segments int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.grants) > 0, g.granted
}

// GrantedSegments lists the segments that a group's members are to have, in
// order, and those of them whose shards are not sound here.
func (g *Group) GrantedSegments() (granted, lacked []protocol.SegmentID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for subject := range g.grants {
		if len(subject) != len(protocol.SegmentID{}) {
			continue // a pointer
		}
		s := protocol.SegmentID([]byte(subject))
		granted = append(granted, s)
		if !g.holdsLocked(s) {
			lacked = append(lacked, s)
		}
	}
	slices.SortFunc(granted, protocol.CompareIDs)
	return granted, lacked
}

// GrantsFor returns the grants of segments, and what one of n members keeps for
// all grants, in bytes.
func (g *Group) GrantsFor(n int) (grants map[protocol.SegmentID]Grant, bytes int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	grants = make(map[protocol.SegmentID]Grant)
	for subject, grant := range g.grants {
		bytes += grant.Bytes / int64(n)
		if len(subject) == len(protocol.SegmentID{}) {
			grants[protocol.SegmentID([]byte(subject))] = grant
		}
	}
	return grants, bytes
}

// OwnersFacts returns the names of all facts but the envelopes of peers that the
// table does not name.
func (g *Group) OwnersFacts() []protocol.Hash {
	g.mu.Lock()
	others := make(map[protocol.Hash]bool)
	for id, e := range g.envelopes {
		if g.table == nil || g.table.SlotOf(id) < 0 {
			others[e.id] = true
		}
	}
	g.mu.Unlock()
	return slices.DeleteFunc(g.FactIDs(nil), func(h protocol.Hash) bool { return others[h] })
}

// FactIDs returns the names of the facts that count here, those in some buckets
// or (nil) all.
func (g *Group) FactIDs(buckets []int) []protocol.Hash {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []protocol.Hash
	for h := range g.ids {
		if buckets == nil || slices.Contains(buckets, int(h[0])) {
			out = append(out, h)
		}
	}
	slices.SortFunc(out, protocol.CompareIDs)
	return out
}

// PointerFacts returns what it takes to open a pointer, for anybody who can name it
// and its group: record, table, the pointer's records, the members' envelopes. For a
// deleted pointer it returns record, table and the owner's delete, which proves it.
func (g *Group) PointerFacts(p protocol.PointerID) ([]protocol.Fact, error) {
	if _, _, err := g.Founded(); err != nil {
		return nil, protocol.Refuse(protocol.CodeNotFound, "group %s is not held", g.ID.Prefix())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	out := []protocol.Fact{{Kind: protocol.FactRecord, Bytes: g.recordRaw}, {Kind: protocol.FactTable, Bytes: g.tableRaw}}
	if del, gone := g.deletes[string(p[:])]; gone {
		return append(out, protocol.Fact{Kind: protocol.FactDelete, Bytes: del.raw}), nil
	}
	list := g.pointers[p]
	if len(list) == 0 {
		return nil, protocol.Refuse(protocol.CodeNotFound, "pointer %s is not held", p)
	}
	for _, r := range list {
		out = append(out, protocol.Fact{Kind: protocol.FactPointer, Bytes: r.raw})
	}
	for _, e := range g.envelopes {
		out = append(out, protocol.Fact{Kind: protocol.FactEnvelope, Bytes: e.raw})
	}
	return out, nil
}

// LastRenewal returns the date of the newest renewal; 0: there is none.
func (g *Group) LastRenewal() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.renewal.at
}
