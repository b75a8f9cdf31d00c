package truth

import (
	"bytes"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Limits of what counts as one group's truth.
const (
	// MaxHeads is how many pointer records of one ID and one seq are kept: a
	// race of several devices. Their names decide which, so that all holders
	// keep the same.
	MaxHeads = 4
)

// Merged says what became of a fact.
type Merged struct {
	Code  protocol.Code   // 0: it counts, or it is known, or a newer one counts
	Kept  bool            // it is new and counts: store it
	Drops []protocol.Hash // facts that no longer count
	Freed int64           // the bytes of these
}

func refused(c protocol.Code) Merged { return Merged{Code: c} }

// Rank orders facts so that each comes after those that it depends on.
func Rank(k protocol.FactKind) int {
	switch k {
	case protocol.FactRecord:
		return 0
	case protocol.FactTable:
		return 1
	case protocol.FactDelete:
		return 2
	case protocol.FactGrant:
		return 3
	}
	return 4
}

// MergeStored takes a verified fact into the group's truth. The result does not
// depend on the order in which facts come, once those that were refused for
// the lack of another have been offered again. The fact is in the store already.
func (g *Group) MergeStored(f protocol.Fact, o protocol.Opened, self peer.ID, now time.Time) Merged {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.merge(f, o, self, now)
}

// MergeNew is MergeStored for a fact that is to be stored, if it counts; Saved
// says that it was. The caller has the turn.
func (g *Group) MergeNew(f protocol.Fact, o protocol.Opened, self peer.ID, now time.Time) Merged {
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.merge(f, o, self, now)
	if m.Kept {
		g.unsaved[f.ID()] = struct{}{}
	}
	return m
}

// MergePut merges the grant that a shard came with; the store has both. It reports
// whether the shard is news.
func (g *Group) MergePut(f protocol.Fact, grant *protocol.Grant, s protocol.SegmentID, self peer.ID, now time.Time) (m Merged, news bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	m = g.merge(f, protocol.Opened{Kind: protocol.FactGrant, Grant: grant}, self, now)
	return m, g.hold(s)
}

// merge is MergeStored. mu is held.
func (g *Group) merge(f protocol.Fact, o protocol.Opened, self peer.ID, now time.Time) Merged {
	id := f.ID()
	if _, ok := g.ids[id]; ok {
		return Merged{}
	}
	if g.record == nil && f.Kind != protocol.FactRecord || g.table == nil && Rank(f.Kind) > 1 {
		return refused(protocol.CodeUnknown)
	}
	var m Merged
	switch f.Kind {
	case protocol.FactRecord:
		g.record, g.recordRaw = o.Record, f.Bytes
		m.Kept = true
	case protocol.FactTable:
		m = g.mergeTable(f, o.Table, self)
	case protocol.FactEnvelope:
		m = g.mergeEnvelope(id, f, o.Envelope)
	case protocol.FactGrant:
		m = g.mergeGrant(id, o.Grant)
	case protocol.FactDelete:
		m = g.mergeDelete(id, f, o.Delete)
	case protocol.FactRenewal:
		m = g.mergeRenewal(id, o.Renewal, now)
	case protocol.FactPointer:
		m = g.mergePointer(id, f, o.Pointer)
	default:
		return refused(protocol.CodeVersion)
	}
	g.account(id, f, &m)
	return m
}

// account keeps the names of the facts that count and their lengths, and adds
// up what those that it dropped were charged.
func (g *Group) account(id protocol.Hash, f protocol.Fact, m *Merged) {
	if m.Kept {
		g.ids[id] = len(f.Bytes)
		g.rawBytes += len(f.Bytes)
	}
	for _, d := range m.Drops {
		m.Freed += int64(g.ids[d])
		g.rawBytes -= g.ids[d]
		delete(g.ids, d)
	}
	if m.Kept || len(m.Drops) > 0 {
		g.renamed(digestFacts)
	}
}

// mergeTable keeps the first table that this node sees. The table must name this
// node, or this node must have been nominated for one of its slots.
func (g *Group) mergeTable(f protocol.Fact, t *protocol.Table, self peer.ID) Merged {
	if g.table != nil {
		return refused(protocol.CodeConflict)
	}
	slot := t.SlotOf(self)
	if slot < 0 && g.nominated < len(t.Slots) {
		slot = g.nominated
	}
	if slot < 0 {
		return refused(protocol.CodeWrongSlot)
	}
	g.table, g.tableRaw, g.slot = t, f.Bytes, slot
	return Merged{Kept: true}
}

// mergeEnvelope keeps the newest envelope of each peer that the table names, or
// that this node counts as a member.
func (g *Group) mergeEnvelope(id protocol.Hash, f protocol.Fact, p *protocol.PeerRecord) Merged {
	if g.table.SlotOf(p.Peer) < 0 && (g.proven == nil || !g.proven(p.Peer)) {
		return refused(protocol.CodeDenied)
	}
	old, ok := g.envelopes[p.Peer]
	if ok && (p.Seq < old.seq || p.Seq == old.seq && !before(id, old.id)) {
		return Merged{}
	}
	g.envelopes[p.Peer] = keptEnvelope{id, p.Seq, f.Bytes}
	return keptFor(old.id, ok)
}

// mergeGrant keeps one grant a subject: the one for most bytes.
func (g *Group) mergeGrant(id protocol.Hash, v *protocol.Grant) Merged {
	s := string(v.Subject)
	if _, gone := g.deletes[s]; gone {
		return refused(protocol.CodeDeleted)
	}
	old, ok := g.grants[s]
	if ok && (v.Bytes < old.Bytes || v.Bytes == old.Bytes && !before(id, old.ID)) {
		return Merged{}
	}
	if !ok && !g.mayName(s) {
		return refused(protocol.CodeLimit)
	}
	if !ok {
		g.countSubject(s)
		g.countGranted(s, 1)
	}
	g.grants[s] = Grant{id, v.Bytes}
	return keptFor(old.ID, ok)
}

// mergeDelete keeps a delete for ever; the subject's grant and pointers go.
func (g *Group) mergeDelete(id protocol.Hash, f protocol.Fact, v *protocol.Delete) Merged {
	s := string(v.Subject)
	del := keptDelete{id: id}
	if len(s) == len(protocol.PointerID{}) {
		del.raw = f.Bytes
	}
	old, again := g.deletes[s]
	if again {
		if !before(id, old.id) {
			return Merged{}
		}
		g.deletes[s] = del
		return keptFor(old.id, true)
	}
	grant, granted := g.grants[s]
	if !granted && !g.mayName(s) {
		return refused(protocol.CodeLimit)
	}
	m := Merged{Kept: true}
	if granted {
		m.Drops = append(m.Drops, grant.ID)
		delete(g.grants, s)
		g.countGranted(s, -1)
	} else {
		g.countSubject(s)
	}
	g.deletes[s] = del
	g.renamed(digestSegments)
	if len(s) == len(protocol.PointerID{}) {
		p := protocol.PointerID(v.Subject)
		for _, r := range g.pointers[p] {
			m.Drops = append(m.Drops, r.id)
		}
		delete(g.pointers, p)
	}
	return m
}

// mergeRenewal keeps the newest renewal. One that is dated more than a day
// ahead has to wait: CodeUnavailable, because only the clock is against it.
func (g *Group) mergeRenewal(id protocol.Hash, v *protocol.Renewal, now time.Time) Merged {
	if v.At > now.Add(g.ahead).Unix() {
		return refused(protocol.CodeUnavailable)
	}
	old := g.renewal
	ok := old.id != protocol.Hash{}
	if ok && (v.At < old.at || v.At == old.at && !before(id, old.id)) {
		return Merged{}
	}
	g.renewal = kept{id, v.At}
	return keptFor(old.id, ok)
}

// mergePointer keeps the records of the highest seq of a pointer that a grant
// names.
func (g *Group) mergePointer(id protocol.Hash, f protocol.Fact, v *protocol.Pointer) Merged {
	p := v.ID()
	if _, gone := g.deletes[string(p[:])]; gone {
		return refused(protocol.CodeDeleted)
	}
	if _, ok := g.grants[string(p[:])]; !ok {
		return refused(protocol.CodeDenied)
	}
	list := g.pointers[p]
	m := Merged{Kept: true}
	if len(list) > 0 {
		switch have := list[0].seq; {
		case v.Seq < have:
			return Merged{}
		case v.Seq > have:
			for _, r := range list {
				m.Drops = append(m.Drops, r.id)
			}
			list = nil
		}
	}
	list = append(slices.Clip(list), keptPointer{id, v.Seq, f.Bytes})
	slices.SortFunc(list, func(a, b keptPointer) int { return bytes.Compare(a.id[:], b.id[:]) })
	if len(list) > MaxHeads {
		last := list[MaxHeads].id
		list = list[:MaxHeads]
		if last == id {
			return Merged{}
		}
		m.Drops = append(m.Drops, last)
	}
	g.pointers[p] = list
	return m
}

func keptFor(old protocol.Hash, had bool) Merged {
	m := Merged{Kept: true}
	if had {
		m.Drops = []protocol.Hash{old}
	}
	return m
}

// before decides between facts with equal claims, the same way on every node.
func before(a, b protocol.Hash) bool { return bytes.Compare(a[:], b[:]) < 0 }
