package neighbours

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// What holders lack, as they say themselves, and what this node lacks, as its disk
// shows. A holder's Have counts only against that holder: it does not have what
// it does not list, and still has to prove what it lists.

const (
	// maxLacks bounds the segments that all holders of one group together are
	// known to lack, confessions and this node's own among them; maxAllLacks those
	// of all groups: some 50 bytes each. Where a group's holders lack more, audits
	// find the rest, and those holders fail. Where all groups together have too
	// many, the group with most forgets some.
	maxLacks    = 1 << 16
	maxAllLacks = 1 << 20
)

// hasRoom reports whether one more lack may be noted in a group, and makes room for
// it where another group has more. mu is held.
func (h *Register) hasRoom(g *seats) bool {
	own := h.lacks.Of(g)
	if own >= maxLacks {
		return false
	}
	if h.lacks.Total() >= maxAllLacks {
		worst, most := h.lacks.Most()
		if most <= own+1 {
			return false
		}
		h.forgetLongest(worst)
	}
	return true
}

// forgetLongest forgets the longest list of what one holder, or this node, lacks in
// a group, as a whole: half a list would say that the holder has the rest. The holder
// is asked anew; this node finds out what it lacks when it next looks. mu is held.
func (h *Register) forgetLongest(g *seats) {
	var longest *seat
	most := len(g.without)
	for i := range g.list {
		if s := &g.list[i]; s.lacking() > most {
			longest, most = s, s.lacking()
		}
	}
	h.lacks.Add(g, -most)
	if longest == nil {
		g.without = nil
		return
	}
	longest.lacks, longest.confessed = nil, nil
	longest.listed, longest.told, g.relisted = false, false, true
}

// lacking counts what is noted of what a holder lacks.
func (s *seat) lacking() int { return len(s.lacks) + len(s.confessed) }

// addLack notes that a holder lacks a segment; it reports false where too many are
// noted. mu is held.
func (h *Register) addLack(g *seats, s *seat, seg protocol.SegmentID) bool {
	if _, known := s.lacks[seg]; known {
		return true
	}
	if !h.hasRoom(g) {
		return false
	}
	if s.lacks == nil {
		s.lacks = make(map[protocol.SegmentID]struct{})
	}
	s.lacks[seg] = struct{}{}
	g.relisted = true
	h.lacks.Add(g, 1)
	return true
}

// dropLack notes that a holder has a segment, or that nobody need have it. mu
// is held.
func (h *Register) dropLack(g *seats, s *seat, seg protocol.SegmentID) {
	if _, lacked := s.lacks[seg]; lacked {
		delete(s.lacks, seg)
		g.relisted = true
		h.lacks.Add(g, -1)
	}
}

// dropConfession forgets that a member said it has lost a shard. mu is held.
func (h *Register) dropConfession(g *seats, s *seat, seg protocol.SegmentID) {
	if _, confessed := s.confessed[seg]; confessed {
		delete(s.confessed, seg)
		h.lacks.Add(g, -1)
	}
}

// Question is what a holder is asked: which of some segments it has.
type Question struct {
	Among []protocol.SegmentID // in order
	all   bool                 // these are all that its holders are to have
	news  uint64               // seats.news, when it was asked
}

// Question dates a question about a group's segments.
func (h *Register) Question(id protocol.GroupID, among []protocol.SegmentID, all bool) Question {
	h.mu.Lock()
	defer h.mu.Unlock()
	q := Question{Among: among, all: all}
	if g := h.groups[id]; g != nil {
		q.news = g.news
	}
	return q
}

// HeardList notes which of the segments of a question a holder says that it lacks;
// of others it has said nothing.
func (h *Register) HeardList(id protocol.GroupID, p peer.ID, q Question, lacks map[protocol.SegmentID]bool) {
	h.withPeer(id, p, func(g *seats, s *seat) {
		whole := true
		for _, seg := range q.Among {
			if !lacks[seg] {
				h.dropLack(g, s, seg)
			} else if !h.addLack(g, s, seg) {
				whole = false
			}
		}
		if q.news != g.news {
			return // it was not asked about the newest segment
		}
		told := whole && (q.all || s.told)
		g.relisted = g.relisted || s.told != told
		s.listed, s.told = whole, told
	})
}

// HasTold reports whether a holder has said what it has of all that is granted.
func (h *Register) HasTold(id protocol.GroupID, p peer.ID, slot int) (told bool) {
	h.with(id, p, slot, func(_ *seats, s *seat) { told = s.told })
	return told
}

// HasListed reports whether a holder has said what it has of what is held here.
func (h *Register) HasListed(id protocol.GroupID, p peer.ID, slot int) (listed bool) {
	h.with(id, p, slot, func(_ *seats, s *seat) { listed = s.listed })
	return listed
}

// Miss notes that a peer that asks for a slot does not have a segment yet.
func (h *Register) Miss(id protocol.GroupID, p peer.ID, slot int, seg protocol.SegmentID) {
	h.with(id, p, slot, func(g *seats, s *seat) { h.addLack(g, s, seg) })
}

// Got notes that a holder has a segment that it lacked.
func (h *Register) Got(id protocol.GroupID, p peer.ID, slot int, seg protocol.SegmentID) {
	h.with(id, p, slot, func(g *seats, s *seat) { h.dropLack(g, s, seg) })
}

// Lacked reports whether a holder said of itself that it lacks a segment.
func (h *Register) Lacked(id protocol.GroupID, p peer.ID, slot int, seg protocol.SegmentID) (lacks bool) {
	h.with(id, p, slot, func(_ *seats, s *seat) { _, lacks = s.lacks[seg] })
	return lacks
}

// LackedBy returns which segments a holder said that it lacks, at most most.
func (h *Register) LackedBy(id protocol.GroupID, p peer.ID, slot, most int) (out []protocol.SegmentID) {
	h.with(id, p, slot, func(_ *seats, s *seat) {
		for seg := range s.lacks {
			if len(out) == most {
				break
			}
			out = append(out, seg)
		}
	})
	return out
}

// ForgetSegment forgets who lacks a segment that its owner deleted.
func (h *Register) ForgetSegment(id protocol.GroupID, seg protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	h.ownHas(g, seg)
	for i := range g.list {
		s := &g.list[i]
		h.dropLack(g, s, seg)
		h.dropConfession(g, s, seg)
	}
}

// LackOwn notes which granted segments this node itself lacks, as its disk
// says, instead of those noted before. A segment keeps the moment at which it
// was first missed.
func (h *Register) LackOwn(id protocol.GroupID, list []protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return
	}
	before, now := g.without, h.moment()
	h.lacks.Add(g, -len(before))
	g.without = nil
	for _, seg := range list {
		since, known := before[seg]
		if !known {
			since = now
		}
		if !h.addOwn(g, seg, since) {
			return
		}
	}
}

// addOwn notes that this node itself lacks a segment, unless it is noted; it reports
// false where too many are. mu is held.
func (h *Register) addOwn(g *seats, seg protocol.SegmentID, since time.Duration) bool {
	if _, known := g.without[seg]; known {
		return true
	}
	if !h.hasRoom(g) {
		return false
	}
	if g.without == nil {
		g.without = make(map[protocol.SegmentID]time.Duration)
	}
	g.without[seg] = since
	h.lacks.Add(g, 1)
	return true
}

// LostOwn notes that this node's shard of a segment is not sound any more.
func (h *Register) LostOwn(id protocol.GroupID, seg protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		h.addOwn(g, seg, h.moment())
	}
}

// GotOwn notes that this node has a segment of a group.
func (h *Register) GotOwn(id protocol.GroupID, seg protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		h.ownHas(g, seg)
		g.askGuests()
	}
}

// Granted notes that there is one more segment that a group's holders are to have.
func (h *Register) Granted(id protocol.GroupID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		g.askGuests()
	}
}

// askGuests marks the holders that came by proof to be asked anew what they have:
// they have not said whether they got a segment that is new here. Register.mu is held.
func (g *seats) askGuests() {
	g.news++
	for i := range g.list {
		if s := &g.list[i]; !s.drawn {
			g.relisted = g.relisted || s.told
			s.listed, s.told = false, false
		}
	}
}

// KeepLacks forgets who lacks segments that are no longer granted. A delete may have
// come while a holder was being asked, or may have been stored when the newest note
// of lacks was not.
func (h *Register) KeepLacks(id protocol.GroupID, granted []protocol.SegmentID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil || h.lacks.Of(g) == len(g.without) {
		return
	}
	is := make(map[protocol.SegmentID]struct{}, len(granted))
	for _, seg := range granted {
		is[seg] = struct{}{}
	}
	for i := range g.list {
		for seg := range g.list[i].lacks {
			if _, ok := is[seg]; !ok {
				h.dropLack(g, &g.list[i], seg)
			}
		}
	}
}

// ownHas notes that this node has a segment. mu is held.
func (h *Register) ownHas(g *seats, seg protocol.SegmentID) {
	if _, lacked := g.without[seg]; lacked {
		delete(g.without, seg)
		h.lacks.Add(g, -1)
	}
}

// Missing returns the segments that this node has lacked for at least long, of each
// group in which the owner drew it. In other groups it has what repair brought: making
// one more shard itself would take k loans, and the next repair brings it for one. It
// leaves out a group of which this node lacks more than it can make within a month
// when each other member lends it lent shards: there the co-members repair.
func (h *Register) Missing(long time.Duration, lent int) map[protocol.GroupID][]protocol.SegmentID {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.moment()
	out := make(map[protocol.GroupID][]protocol.SegmentID)
	for id, g := range h.groups {
		if !g.mine || len(g.without) > lent*(g.profile.N-1)/g.profile.K {
			continue
		}
		for seg, since := range g.without {
			if now-since >= long {
				out[id] = append(out[id], seg)
			}
		}
	}
	return out
}

// Confess notes that a member says, for the first time or again, that it has lost a
// shard: for that long it counts as not holding it, whatever it proves. It reports
// false where too many lacks are noted; to say it again takes no room.
func (h *Register) Confess(id protocol.GroupID, p peer.ID, seg protocol.SegmentID, long time.Duration) (noted bool) {
	h.withPeer(id, p, func(g *seats, s *seat) {
		_, again := s.confessed[seg]
		if noted = again || h.hasRoom(g); !noted {
			return
		}
		if s.confessed == nil {
			s.confessed = make(map[protocol.SegmentID]time.Duration)
		}
		s.confessed[seg] = h.moment() + long
		if !again {
			h.lacks.Add(g, 1)
		}
	})
	return noted
}
