package node

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// seats is what this node believes of one group: who holds which slot, by the
// owner's draw or by proof. neighbours.mu guards it.
type seats struct {
	id      protocol.GroupID
	profile protocol.Profile
	own     int    // this node's slot
	mine    bool   // the table names this node there
	granted bool   // something is to be found in it
	list    []seat // of others, by slot; of one slot that of the table first

	notes map[uint8]savedNote // as stored, by kind
	stale []protocol.Hash     // notes in the store that count no more
	dirty bool                // the seats are not as stored

	pass       pass                   // of this node's audits
	asked      map[uint64]audit.Asked // who has had which audit by lot, by the segment's first bytes
	askedCycle int64

	renewal   []byte        // that is news, to be told with beats
	renewedAt time.Duration // when, by mono
	lacks     int           // segments that holders say they lack, together
}

// seat is one peer at one slot.
type seat struct {
	who    *neighbour
	slot   uint8
	drawn  bool    // by the owner: the table names it
	proven bool    // it asked for the slot and passed this node's audit of it
	asks   bool    // it asked for the slot, and is to be audited
	after  peer.ID // who handed it the slot; "": nobody
	lost   loss    // why it holds the slot no more; 0: it does, if drawn or proven

	since  int64 // Unix seconds: when it was proven, lost, or last asked
	audits audits

	confessed map[protocol.SegmentID]time.Duration // lost by its own word, until when on the watch
	lacks     map[protocol.SegmentID]struct{}
}

// loss says why a peer holds a slot no more.
type loss uint8

const (
	lostGone   loss = 1 // it was silent for too long
	lostFailed loss = 2 // it failed too many audits
	lostHanded loss = 3 // it handed the slot over
)

// firstPass is in what part of a day a group that is new here, or a node that
// has just started, audits first.
const firstPass = 24

// seatsPerSlot bounds the peers that are remembered at one slot: its holders of
// late, and who asks for it.
const seatsPerSlot = 4

// counts reports whether a peer is a member of the group at its slot.
func (s *seat) counts() bool { return s.lost == 0 && (s.drawn || s.proven) }

// loseAll notes that a neighbour holds its slots of a group no more.
// mu is held.
func (h *neighbours) loseAll(g *seats, p *neighbour, why loss) {
	for i := range g.list {
		if s := &g.list[i]; s.who == p && s.lost == 0 {
			s.lost, s.asks, s.since = why, false, h.now().Unix()
			h.moved(g)
		}
	}
}

// moved notes that other peers hold a group's slots than before. mu is held.
func (h *neighbours) moved(g *seats) {
	g.dirty = true
	h.shifted[g.id] = struct{}{}
}

// takeMoved returns the groups whose holders have changed since this was last
// asked.
func (h *neighbours) takeMoved() []protocol.GroupID {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []protocol.GroupID
	for id := range h.shifted {
		out = append(out, id)
	}
	clear(h.shifted)
	return out
}

// at returns a peer's seat at a slot, or nil.
func (g *seats) at(id peer.ID, slot int) *seat {
	for i := range g.list {
		if s := &g.list[i]; int(s.slot) == slot && s.who.id == id {
			return s
		}
	}
	return nil
}

// of returns a peer's seat: the one that counts, else any; nil: it has none.
func (g *seats) of(id peer.ID) (best *seat) {
	for i := range g.list {
		if s := &g.list[i]; s.who.id == id && (best == nil || s.counts() && !best.counts()) {
			best = s
		}
	}
	return best
}

// open takes a group in that is held here: its table's holders, and what was
// noted of them and of others. A group that is known already stays as it is.
func (h *neighbours) open(id protocol.GroupID, t *protocol.Table, own int, v *viewSurvey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.groups[id] != nil {
		return
	}
	g := &seats{id: id, profile: t.Profile, own: own, mine: t.SlotOf(h.self) == own, granted: v.granted, notes: v.notes, stale: v.stale}
	g.pass.next = h.mono() + time.Duration(v.spread*float64(h.audit.SampleEvery)/firstPass)
	if g.notes == nil {
		g.notes = make(map[uint8]savedNote)
	}
	h.groups[id] = g
	for slot := range t.Slots {
		if p := t.Holder(slot); p != "" && p != h.self {
			h.sit(g, p, slot).drawn = true
		}
	}
	if v.seats != nil {
		h.apply(g, v.seats)
	}
	if v.standings != nil {
		h.restore(v.standings)
	}
}

// sit returns a peer's seat at a slot, made if there is none; nil where too
// many are remembered already. mu is held.
func (h *neighbours) sit(g *seats, id peer.ID, slot int) *seat {
	if s := g.at(id, slot); s != nil {
		return s
	}
	at, n := len(g.list), 0
	for i := range g.list {
		switch s := &g.list[i]; {
		case int(s.slot) == slot:
			n++
		case int(s.slot) > slot && at == len(g.list):
			at = i
		}
	}
	if n >= seatsPerSlot && !h.dropSeat(g, slot, &at) {
		return nil
	}
	p := h.meet(id)
	p.join(g)
	g.list = slices.Insert(g.list, at, seat{who: p, slot: uint8(slot)})
	return &g.list[at]
}

// dropSeat forgets a peer at a slot that neither counts nor asks nor was drawn.
func (h *neighbours) dropSeat(g *seats, slot int, at *int) bool {
	for i := range g.list {
		s := &g.list[i]
		if int(s.slot) != slot || s.drawn || s.asks || s.counts() {
			continue
		}
		p := s.who
		g.lacks -= len(s.lacks)
		g.list = slices.Delete(g.list, i, i+1)
		*at--
		if g.of(p.id) == nil {
			h.part(p, g)
		}
		return true
	}
	return false
}

// join notes that a neighbour shares a group; part that it no longer does. A
// peer that shares none is forgotten.
func (p *neighbour) join(g *seats) {
	at, known := slices.BinarySearchFunc(p.shared, g, compareSeats)
	if !known {
		p.shared = slices.Insert(p.shared, at, g)
	}
}

func (h *neighbours) part(p *neighbour, g *seats) {
	if at, known := slices.BinarySearchFunc(p.shared, g, compareSeats); known {
		p.shared = slices.Delete(p.shared, at, at+1)
	}
	if len(p.shared) == 0 {
		delete(h.peers, p.id)
	}
}

func compareSeats(a, b *seats) int { return bytes.Compare(a.id[:], b.id[:]) }

// close forgets a group that is held here no more, and the neighbours with it
// that share no other.
func (h *neighbours) close(id protocol.GroupID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	delete(h.groups, id)
	for i := range g.list {
		h.part(g.list[i].who, g)
	}
}

// holder is a seat as others of this package see it.
type holder struct {
	peer     peer.ID
	slot     int
	standing liveness.Standing
	state    liveness.State
	member   bool // it counts as the holder of the slot
	asks     bool // it is to be audited for it
	drawn    bool // the owner drew it for the slot
	lost     loss
	draining bool
}

// holders returns who sits at a group's slots, this node apart, in order of
// slots; nil: the group is not held here.
func (h *neighbours) holders(id protocol.GroupID) []holder {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return nil
	}
	out := make([]holder, len(g.list))
	for i := range g.list {
		out[i] = g.list[i].view()
	}
	return out
}

func (s *seat) view() holder {
	return holder{
		peer: s.who.id, slot: int(s.slot), standing: s.who.standing, state: s.who.state,
		member: s.counts(), asks: s.asks, drawn: s.drawn, lost: s.lost, draining: s.who.draining,
	}
}

// isMember reports whether a peer counts as a holder in a group: drawn by the
// owner or proven, and not found gone or failed.
func (h *neighbours) isMember(id protocol.GroupID, p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		s := g.of(p)
		return s != nil && s.counts()
	}
	return false
}

// sits reports whether a peer is known at some slot of a group: as a member, as
// one that was, or as one that asks to be.
func (h *neighbours) sits(id protocol.GroupID, p peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	return g != nil && g.of(p) != nil
}

// members returns the peers that count as holders in a group, this node among
// them.
func (h *neighbours) members(id protocol.GroupID) []peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	members, _ := h.membersOf(id)
	return members
}

// toBeFound is members, and whether the group has something to be found.
func (h *neighbours) toBeFound(id protocol.GroupID) (members []peer.ID, granted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.membersOf(id)
}

// membersOf is toBeFound where mu is held.
func (h *neighbours) membersOf(id protocol.GroupID) ([]peer.ID, bool) {
	g := h.groups[id]
	if g == nil {
		return nil, false
	}
	out := []peer.ID{h.self}
	for i := range g.list {
		if s := &g.list[i]; s.counts() {
			out = append(out, s.who.id)
		}
	}
	return out, g.granted
}

// ask notes that a peer asked for a slot, and may have it: it is audited, and
// counts once it has passed. It reports false where too many ask.
func (h *neighbours) ask(id protocol.GroupID, p peer.ID, slot int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil || p == h.self || slot < 0 || slot >= g.profile.N {
		return false
	}
	s := h.sit(g, p, slot)
	if s == nil {
		return false
	}
	if !s.counts() {
		s.asks, s.since, g.dirty = true, h.now().Unix(), true
		h.passNow(g)
	}
	return true
}

// prove notes that a peer passed this node's audit of a slot that it asked for.
func (h *neighbours) prove(id protocol.GroupID, p peer.ID, slot int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	if s := g.at(p, slot); s != nil && !s.counts() {
		s.proven, s.asks, s.lost, s.since = true, false, 0, h.now().Unix()
		s.audits.Record, s.audits.faults = s.audits.Readmitted(), nil
		h.moved(g)
	}
}

// guests returns the groups in which the owner gave this node's slot to another.
func (h *neighbours) guests() (out []protocol.GroupID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range h.order() {
		if !h.groups[id].mine {
			out = append(out, id)
		}
	}
	return out
}

// hand notes that a holder hands a slot over to a peer that asks for it.
func (h *neighbours) hand(id protocol.GroupID, holder, to peer.ID, slot int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(to, slot); s != nil && s.asks {
			s.after = holder
		}
	}
}

// handed reports who handed a slot over to a peer that asks for it; "": nobody.
func (h *neighbours) handed(id protocol.GroupID, to peer.ID, slot int) peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(to, slot); s != nil {
			return s.after
		}
	}
	return ""
}

// miss notes that a peer that asks for a slot has not got a segment yet.
func (h *neighbours) miss(id protocol.GroupID, p peer.ID, slot int, seg protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil || g.lacks >= maxLacks {
		return
	}
	if s := g.at(p, slot); s != nil {
		if s.lacks == nil {
			s.lacks = make(map[protocol.SegmentID]struct{})
		}
		if _, known := s.lacks[seg]; !known {
			s.lacks[seg] = struct{}{}
			g.lacks++
		}
	}
}

// openSeats makes a group's seats known that was founded here since the start.
func (n *Node) openSeats(g *groupState) {
	_, table, err := g.founded()
	if err != nil {
		return
	}
	n.neighbours.open(g.id, table, g.ownSlot(), &viewSurvey{spread: n.rand.float()})
}

// takeSlot makes this node, which was nominated for a slot, ready to receive
// its shards: record, table and nomination become durable. It refuses with
// CodeConflict where it holds another slot of the group, and otherwise as Facts
// does for a group that is new here.
func (n *Node) takeSlot(ctx context.Context, from protocol.Remote, id protocol.GroupID, slot int, record, table []byte) error {
	g, release, err := n.groups.openTurn(ctx, id)
	if err != nil {
		return n.hideStore("open group", err)
	}
	defer release()
	switch own := g.ownSlot(); {
	case own == slot:
		return nil
	case own >= 0:
		return protocol.Refuse(protocol.CodeConflict, "this node holds slot %d", own)
	}
	nt, err := nominationNote(id, slot, n.now())
	if err != nil {
		return err
	}
	g.nominate(slot)
	codes, err := n.keepWith(ctx, from, g, []protocol.Fact{{Kind: protocol.FactRecord, Bytes: record}, {Kind: protocol.FactTable, Bytes: table}}, nt)
	if err != nil {
		g.nominate(-1)
		return err
	}
	for _, c := range codes {
		if c != 0 {
			n.groups.forget(g)
			return protocol.Refuse(c, "record or table of group %s", id.Prefix())
		}
	}
	return nil
}

// nominate notes for which slot this node was nominated; -1: for none.
func (g *groupState) nominate(slot int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.nominated = slot
}

// reject notes that a peer failed the audit of a slot that it asked for.
func (h *neighbours) reject(id protocol.GroupID, p peer.ID, slot int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(p, slot); s != nil && s.asks {
			s.asks, g.dirty = false, true
		}
	}
}

// lose notes that a peer holds a slot no more, and why.
func (h *neighbours) lose(id protocol.GroupID, p peer.ID, slot int, why loss) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(p, slot); s != nil && s.lost == 0 {
			s.lost, s.asks, s.since = why, false, h.now().Unix()
			h.moved(g)
		}
	}
}

// maxLacks bounds the segments that all holders of one group together are
// known to lack; of who lacks more, the rest is found when it is asked again.
const maxLacks = 1 << 16

// setLacks notes which segments of a group a holder lacks by its own word,
// instead of those noted before.
func (h *neighbours) setLacks(id protocol.GroupID, p peer.ID, slot int, list []protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	s := g.at(p, slot)
	if s == nil {
		return
	}
	g.lacks -= len(s.lacks)
	s.lacks = nil
	list = list[:min(len(list), maxLacks-g.lacks)]
	if len(list) > 0 {
		s.lacks = make(map[protocol.SegmentID]struct{}, len(list))
	}
	for _, l := range list {
		s.lacks[l] = struct{}{}
	}
	g.lacks += len(s.lacks)
}

// got notes that a holder has a segment that it lacked.
func (h *neighbours) got(id protocol.GroupID, p peer.ID, slot int, s protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	if at := g.at(p, slot); at != nil {
		if _, lacked := at.lacks[s]; lacked {
			delete(at.lacks, s)
			g.lacks--
		}
	}
}

// grant notes that a group has something to be found, or no more.
func (h *neighbours) grant(id protocol.GroupID, granted bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		g.granted = granted
	}
}

// ids returns the groups held here, in order.
func (h *neighbours) ids() []protocol.GroupID {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.order()
}

// order is ids where mu is held.
func (h *neighbours) order() []protocol.GroupID {
	out := make([]protocol.GroupID, 0, len(h.groups))
	for id := range h.groups {
		out = append(out, id)
	}
	slices.SortFunc(out, func(a, b protocol.GroupID) int { return bytes.Compare(a[:], b[:]) })
	return out
}

// slotsOf returns a group's profile and this node's slot; ok is false where it
// is not held here.
func (h *neighbours) slotsOf(id protocol.GroupID) (p protocol.Profile, own int, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		return g.profile, g.own, true
	}
	return p, -1, false
}
