package neighbours

import (
	"encoding/binary"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Allow tells which shards of a challenge this node owes the asker, and uses
// that up. An answer that a shard is not held here costs nothing. It refuses with
// CodeNotFound where the group is not held here, and with CodeDisputed where the
// asker is no member here.
func (h *Register) Allow(r *protocol.AuditRequest, asker peer.ID, held func(protocol.SegmentID) bool) ([]bool, error) {
	has := make([]bool, len(r.Shards))
	for i, ref := range r.Shards {
		has[i] = held(ref.Segment) // may read the disk, so before mu is taken
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[r.Group]
	if g == nil {
		return nil, protocol.Refuse(protocol.CodeNotFound, "group %s is not held", r.Group.Prefix())
	}
	s := g.of(asker)
	if s == nil || s.stranger() || !s.counts() && !s.asks && !s.spare {
		return nil, protocol.Refuse(protocol.CodeDisputed, "you are no member of group %s here", r.Group.Prefix())
	}
	at := audit.At(h.audit, audit.Phase(h.audit, r.Group), h.now())
	if g.asked == nil || g.askedCycle != at.Cycle {
		g.asked, g.askedCycle = make(map[uint64]audit.Asked), at.Cycle
	}
	c := h.council(g)
	owed, now := make([]bool, len(r.Shards)), h.moment()
	for i, ref := range r.Shards {
		owed[i] = !has[i] || ref.Slot == g.own && h.owes(g, &c, s, ref, now)
	}
	return owed, nil
}

// owes uses up what this node owes the asker of one shard: its audit if it is the
// auditor of the cycle, else a sample, else what the lot leaves to the members that
// come after the first, else a shard of an entry audit. mu is held.
func (h *Register) owes(g *seats, c *council, s *seat, ref protocol.ShardRef, now time.Duration) (ok bool) {
	shard := audit.SegmentLot(g.id, ref.Segment, g.askedCycle).Of(ref.Slot)
	i := c.index(s.who.id)
	if i >= 0 && audit.Auditor(shard, c.keys, c.living, 0) == i && g.byLot(c, shard, ref, i) {
		return true
	}
	if s.who.extra, ok = s.who.extra.AllowSample(h.audit, now); ok {
		return true
	}
	if i >= 0 && g.byLot(c, shard, ref, i) {
		return true
	}
	s.audits.entry, ok = s.audits.entry.Allow(h.audit, now, 1)
	return ok
}

// byLot uses up what the lot of the cycle gives a member of a shard.
func (g *seats) byLot(c *council, shard group.Lot, ref protocol.ShardRef, member int) bool {
	key := binary.BigEndian.Uint64(ref.Segment[:])
	asked, ok := g.asked[key].Allow(shard, c.keys, c.living, 0, member)
	if ok {
		g.asked[key] = asked
	}
	return ok
}
