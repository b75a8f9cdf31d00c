package neighbours

import (
	"bytes"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/note"
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
	keeps   int    // segments that its members are to hold, as of the last look at its facts
	list    []seat // of others, by slot; at each slot the peer that the table names first

	notes    map[uint8]note.Saved // as stored, by kind
	stale    []protocol.Hash      // notes in the store that no longer count
	dirty    bool                 // the seats are not as stored
	relisted bool                 // what holders lack is not as stored
	noted    int                  // segments that the note of lacks knew of; -1: there was none, or the facts have been looked at since

	pass       pass                   // of this node's audits
	asked      map[uint64]audit.Asked // which members have had their audits by lot, by the segment's first bytes
	askedCycle int64

	renewal   []byte        // that is news, to be told with beats
	renewedAt time.Duration // when, by mono

	news    uint64                               // counts up with each segment that is new here
	without map[protocol.SegmentID]time.Duration // granted, and not held here; since when, on the watch

	crowd  crowd // of the owner's draw
	urgent urgency
}

// crowd is how crowded the owner's draw was when last seen: finding out costs more
// than all the rest of a roll.
type crowd struct {
	known      bool // no holder's address has changed since
	private    bool
	same, near uint8 // as of group.Seats
}

// seat is one peer at one slot.
type seat struct {
	who    *neighbour
	slot   uint8
	drawn  bool          // by the owner: the table names it
	proven bool          // it asked for the slot and passed this node's audit of it
	asks   bool          // it asked for the slot, and is to be audited
	tried  bool          // it was, since it asked, and proved nothing
	beside bool          // it asked for a slot that another holds
	spare  bool          // it has proved such a slot
	called time.Duration // when it was audited because the slot fell vacant, by mono; 0: it was not
	after  peer.ID       // who handed it the slot; "": nobody

	knows   bool // it takes this node for a holder, and neither has been gone since
	agreed  bool // it said yes when this node last asked to enter
	refuses bool // it said no
	lost    Loss // why it no longer holds the slot; 0: it does, if drawn or proven

	since int64 // Unix seconds: when it was proven, lost, or last asked

	begged   bool          // this node has asked it to be taken for a holder
	beggedAt time.Duration // when, by mono
	audits   audits

	confessed map[protocol.SegmentID]time.Duration // it says that it lost them; until when that counts, on the watch
	lacks     map[protocol.SegmentID]struct{}      // as its own Have says
	listed    bool                                 // its Have was heard, of what is held here
	told      bool                                 // and of all that is granted
}

// firstPass is in what part of a day a group that is new here, or a node that
// has just started, audits first.
const firstPass = 24

// seatsPerSlot bounds the peers that are remembered at one slot: its recent
// holders, its spares, and those that ask for it.
const seatsPerSlot = 4

// counts reports whether a peer is a member of the group at its slot.
func (s *seat) counts() bool { return s.lost == 0 && (s.drawn || s.proven) }

// at returns a peer's seat at a slot, or nil.
func (g *seats) at(id peer.ID, slot int) *seat {
	for i := range g.list {
		if s := &g.list[i]; int(s.slot) == slot && s.who.id == id {
			return s
		}
	}
	return nil
}

// of returns a peer's seat: the one that counts, else that with the best claim;
// nil: it has none.
func (g *seats) of(id peer.ID) (best *seat) {
	for i := range g.list {
		if s := &g.list[i]; s.who.id == id && (best == nil || s.claim() > best.claim()) {
			best = s
		}
	}
	return best
}

// claim ranks a peer's claim on a slot, from the least: nothing, a place that it
// held, a request, a spare's proof, the slot.
func (s *seat) claim() int {
	switch {
	case s.counts():
		return 4
	case s.spare:
		return 3
	case s.asks && !s.beside:
		return 2
	case s.drawn || s.proven:
		return 1
	}
	return 0
}

// with does something to a peer's seat at a slot, if there is one.
func (h *Register) with(id protocol.GroupID, p peer.ID, slot int, do func(*seats, *seat)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.at(p, slot); s != nil {
			do(g, s)
		}
	}
}

// withPeer does something to a peer's seat, at whatever slot, if there is one.
func (h *Register) withPeer(id protocol.GroupID, p peer.ID, do func(*seats, *seat)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		if s := g.of(p); s != nil {
			do(g, s)
		}
	}
}

// Open takes a group in that is held here: its table's holders, and what was
// noted of them and of others. A group that is known already stays as it is.
func (h *Register) Open(id protocol.GroupID, t *protocol.Table, own int, v *Survey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.groups[id] != nil {
		return
	}
	g := &seats{id: id, profile: t.Profile, own: own, mine: own >= 0 && t.SlotOf(h.self) == own, granted: v.Granted, keeps: v.Held, notes: v.notes, stale: v.stale, noted: -1}
	g.pass.next = h.mono() + time.Duration(v.Spread*float64(h.audit.SampleEvery)/firstPass)
	if g.notes == nil {
		g.notes = make(map[uint8]note.Saved)
	}
	h.groups[id] = g
	for slot := range t.Slots {
		if p := t.Holder(slot); p != "" && p != h.self {
			s := h.sit(g, p, slot, nil)
			s.drawn = true
			h.enrol(s.who)
		}
	}
	if v.seats != nil {
		h.apply(g, v.seats)
	}
	if v.lists != nil {
		h.restoreLists(g, v.lists)
	}
	if v.standings != nil {
		h.restore(v.standings)
	}
}

// sit returns a peer's seat at a slot, made if there is none; nil where too
// many are remembered already and none of them may go. mu is held.
func (h *Register) sit(g *seats, id peer.ID, slot int, mayGo func(*seat) bool) *seat {
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
	if n >= seatsPerSlot && !h.dropSeat(g, slot, mayGo, &at) {
		return nil
	}
	p := h.meet(id)
	p.join(g)
	g.list = slices.Insert(g.list, at, seat{who: p, slot: uint8(slot)})
	return &g.list[at]
}

// dropSeat forgets a peer at a slot that neither counts nor was drawn, the one with
// the least claim of those that may go.
func (h *Register) dropSeat(g *seats, slot int, mayGo func(*seat) bool, at *int) bool {
	least := -1
	for i := range g.list {
		if s := &g.list[i]; int(s.slot) != slot || s.drawn || s.counts() || mayGo == nil || !mayGo(s) {
			continue
		}
		if least < 0 || g.list[i].claim() < g.list[least].claim() {
			least = i
		}
	}
	if least < 0 {
		return false
	}
	s := &g.list[least]
	p := s.who
	h.lacks.Add(g, -s.lacking())
	g.list = slices.Delete(g.list, least, least+1)
	*at--
	if g.of(p.id) == nil {
		h.part(p, g)
	}
	return true
}

// enrol counts a neighbour as one that holds a slot here, or has held one.
func (h *Register) enrol(p *neighbour) {
	if !p.member {
		p.member = true
		h.enrolled++
	}
}

// join notes that a neighbour shares a group; part that it no longer does. A
// peer that shares none is forgotten.
func (p *neighbour) join(g *seats) {
	at, known := slices.BinarySearchFunc(p.shared, g, compareSeats)
	if !known {
		p.shared = slices.Insert(p.shared, at, g)
	}
}

func (h *Register) part(p *neighbour, g *seats) {
	at, known := slices.BinarySearchFunc(p.shared, g, compareSeats)
	if !known {
		return // it had two seats
	}
	p.shared = slices.Delete(p.shared, at, at+1)
	if len(p.shared) == 0 {
		delete(h.peers, p.id)
		h.unplan(p)
		h.places++
		if p.member {
			h.enrolled--
		}
	}
}

func compareSeats(a, b *seats) int { return bytes.Compare(a.id[:], b.id[:]) }

// Close forgets a group that is no longer held here, and with it the neighbours
// that share no other.
func (h *Register) Close(id protocol.GroupID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	delete(h.groups, id)
	h.lacks.Add(g, -h.lacks.Of(g))
	for i := range g.list {
		h.part(g.list[i].who, g)
	}
}

// Grant notes whether a group has something to be found, and how many segments
// its members are to hold. If that number is another than in the last note of what
// holders lack, this node was killed before it could note that it is to ask anew.
func (h *Register) Grant(id protocol.GroupID, findable bool, segments int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		g.granted, g.keeps = findable, segments
		if g.noted >= 0 && g.noted != segments {
			g.askGuests()
		}
		g.noted = -1
	}
}
