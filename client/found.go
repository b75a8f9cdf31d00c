package client

import (
	"cmp"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// foundGroup is a group as this session found it. Record and table are proved
// by hash and signature. Repair gives slots to other holders than the table names.
// Only members' word says which, so these are tried after the table's holder and
// count for nothing until they have shown a leaf. The network remembers the
// addresses of all.
type foundGroup struct {
	id     protocol.GroupID
	record *protocol.GroupRecord
	table  *protocol.Table

	mu     sync.Mutex
	seqs   map[peer.ID]uint64 // of the newest peer record learned
	named  map[int][]*named   // by slot: holders that members name
	proved map[peer.ID]bool   // gave bytes of the group that fit their root
	shown  map[peer.ID]bool   // showed the true record and table
	asked  bool               // somebody was asked for the members
}

// named is a peer that members name as a holder.
type named struct {
	peer peer.ID
	by   map[peer.ID]struct{} // the peers that name it
}

func newFoundGroup(id protocol.GroupID, record *protocol.GroupRecord, table *protocol.Table) *foundGroup {
	return &foundGroup{
		id: id, record: record, table: table,
		seqs: make(map[peer.ID]uint64), named: make(map[int][]*named), proved: make(map[peer.ID]bool),
		shown: make(map[peer.ID]bool),
	}
}

// hear takes in what a peer says of the group's members.
func (g *foundGroup) hear(c *Client, from peer.ID, members []protocol.Member) {
	g.mu.Lock()
	g.asked = true
	g.mu.Unlock()
	said := make(map[int]bool)
	for _, m := range members {
		rec, err := c.opened.Open(m.Envelope)
		if err != nil || m.Slot >= len(g.table.Slots) {
			continue
		}
		if g.table.Holder(m.Slot) != rec.Peer {
			if said[m.Slot] {
				continue // a peer can name one besides the table's for each slot, lest it name many
			}
			said[m.Slot] = true
		}
		g.name(m.Slot, rec.Peer, from)
		g.reach(c.net, rec)
	}
}

// name notes that the peer by names id as a slot's holder.
func (g *foundGroup) name(slot int, id, by peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.named[slot] {
		if v.peer == id {
			v.by[by] = struct{}{}
			return
		}
	}
	if len(g.named[slot]) < protocol.MaxShards {
		g.named[slot] = append(g.named[slot], &named{id, map[peer.ID]struct{}{by: {}}})
	}
}

// holders returns the peers to ask for a slot's shards: the table's holder, then
// those that others name, most often named first.
func (g *foundGroup) holders(slot int) []peer.ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []peer.ID
	if h := g.table.Holder(slot); h != "" {
		out = append(out, h)
	}
	byWord := slices.Clone(g.named[slot])
	slices.SortStableFunc(byWord, func(a, b *named) int { return cmp.Compare(len(b.by), len(a.by)) })
	for _, v := range byWord {
		if v.peer != g.table.Holder(slot) {
			out = append(out, v.peer)
		}
	}
	return out
}

// naming returns how many peers name id as a slot's holder.
func (g *foundGroup) naming(slot int, id peer.ID) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.named[slot] {
		if v.peer == id {
			return len(v.by)
		}
	}
	return 0
}

// prove notes that a peer gave true bytes of the group.
func (g *foundGroup) prove(id peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.proved[id] = true
}

// show notes that a peer showed the group's record and table.
func (g *foundGroup) show(id peer.ID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.shown[id] = true
}

// witnesses returns the peers that showed record and table but are not in the
// table: they may know which peers now hold its slots.
func (g *foundGroup) witnesses() []peer.ID {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []peer.ID
	for id := range g.shown {
		if g.table.SlotOf(id) < 0 {
			out = append(out, id)
		}
	}
	return out
}

// moved reports, once, whether peers outside the table seem to hold slots of the
// group, and nobody was asked yet which.
func (g *foundGroup) moved() bool {
	w := g.witnesses()
	g.mu.Lock()
	defer g.mu.Unlock()
	first := len(w) > 0 && !g.asked
	g.asked = g.asked || first
	return first
}

// counts reports whether a peer's word counts as a member's: the owner's table
// names it, or it has shown that it holds something of the group.
func (g *foundGroup) counts(id peer.ID) bool {
	if g.table.SlotOf(id) >= 0 {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.proved[id]
}

// learn hands the addresses of a peer record to the network, if its peer is in the
// table or is named as a holder.
func (g *foundGroup) learn(c *Client, e protocol.Envelope) {
	if rec, err := c.opened.Open(e); err == nil && (g.table.SlotOf(rec.Peer) >= 0 || g.isNamed(rec.Peer)) {
		g.reach(c.net, rec)
	}
}

func (g *foundGroup) isNamed(id peer.ID) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, list := range g.named {
		if slices.ContainsFunc(list, func(v *named) bool { return v.peer == id }) {
			return true
		}
	}
	return false
}

// reach hands addresses to the network that are newer than those known.
func (g *foundGroup) reach(n protocol.Network, rec protocol.PeerRecord) {
	g.mu.Lock()
	old, known := g.seqs[rec.Peer]
	newer := !known || rec.Seq > old
	if newer {
		g.seqs[rec.Peer] = rec.Seq
	}
	g.mu.Unlock()
	if newer {
		n.Learn(rec.Info())
	}
}

// members returns the peers of the table, without vacant slots, and those that
// have proved that they are holders.
func (g *foundGroup) members() []peer.ID {
	var out []peer.ID
	for slot := range g.table.Slots {
		if h := g.table.Holder(slot); h != "" {
			out = append(out, h)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for id := range g.proved {
		if g.table.SlotOf(id) < 0 {
			out = append(out, id)
		}
	}
	return out
}
