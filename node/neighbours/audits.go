package neighbours

import (
	"cmp"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// audits is what this node's own audits make of one seat.
type audits struct {
	audit.Record
	faults map[protocol.SegmentID]fault // shards that it failed to prove, or confessed, unmended
	again  []protocol.SegmentID         // to be asked for again, as samples
	entry  audit.Entry                  // what this node, as a holder, owes it

	refused  time.Duration // since when it has refused what it owes, on the watch
	refusing bool
}

// maxAgain bounds the shards of one seat that are to be asked for again.
const maxAgain = 8

// pass is how far this node's audits of a group have come.
type pass struct {
	cycle int64
	into  time.Duration // audits due until then are done
	begun bool
	next  time.Duration // of the next pass, by mono
}

// passesADay is how often a group's holders are looked at for audits that fell
// due, in the time between two samples of one neighbour.
const passesADay = 4

// strangersAPass bounds the peers that a pass audits because they ask for slots
// that others hold: anybody may.
const strangersAPass = 8

// askedFor is for how many days a peer that asked for a slot is audited for it.
const askedFor = 3

// AuditJob is what one holder of a group is asked for.
type AuditJob struct {
	Peer    peer.ID
	Slot    int
	Entry   bool // it asks for the slot
	Drawn   bool // the owner drew it for the slot
	First   bool // it was never audited here
	ByLot   []protocol.SegmentID
	Besides []protocol.SegmentID // samples, or the shards of an entry audit
}

// PassesDue returns the groups whose turn it is to audit, the longest due
// first, and otherwise in what time the next is.
func (h *Register) PassesDue() (due []protocol.GroupID, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	wait = h.audit.SampleEvery
	cutOff := h.cutOff()
	mono := h.mono()
	var list []*seats
	for _, g := range h.groups {
		if g.pass.next <= mono && !cutOff {
			list = append(list, g)
		} else {
			wait = min(wait, max(g.pass.next-mono, h.set.RetryEvery/seenPart))
		}
	}
	slices.SortFunc(list, func(a, b *seats) int { return cmp.Compare(a.pass.next, b.pass.next) })
	for _, g := range list {
		due = append(due, g.id)
	}
	return due, wait
}

// passNow brings a group's next pass forward. mu is held.
func (h *Register) passNow(g *seats) {
	g.pass.next = h.mono()
	h.rouse(h.AuditWake)
}

// PlanPass returns what is to be asked of a group's holders now, about those
// segments that this node itself holds, and counts it as done. u draws samples.
func (h *Register) PlanPass(id protocol.GroupID, segments []protocol.SegmentID, u func() float64) []AuditJob {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return nil
	}
	now := h.moment()
	at := audit.At(h.audit, audit.Phase(h.audit, id), h.now())
	from := g.window(at)
	g.pass.next = h.mono() + time.Duration(float64(h.audit.SampleEvery/passesADay)*(0.9+0.2*u()))
	if len(segments) == 0 {
		return nil
	}
	var jobs []AuditJob
	strangers := 0
	c := h.council(g)
	lots := make([]group.Lot, len(segments))
	for i, s := range segments {
		lots[i] = audit.SegmentLot(id, s, at.Cycle)
	}
	for i := range g.list {
		s := &g.list[i]
		if s.asks && h.now().Sub(time.Unix(s.since, 0)) > askedFor*h.audit.SampleEvery {
			s.asks = false // it may ask again; until then it keeps nobody else out
		}
		if s.spare && !s.provedWithin(now, h.audit.ProofFor) {
			s.spare, g.dirty = false, true
		}
		if s.who.state == liveness.Suspended || s.who.state == liveness.Away {
			s.audits.refusing = false // excused, as long as liveness tolerates it
		}
		if s.who.state != liveness.Present || !s.counts() && !s.asks {
			continue
		}
		if s.asks && s.beside && !s.counts() {
			if s.tried || strangers == strangersAPass {
				continue
			}
			strangers++
		}
		j := AuditJob{Peer: s.who.id, Slot: int(s.slot), Entry: !s.counts(), Drawn: s.drawn}
		if s.counts() {
			j.First = !s.who.proved && !s.who.sampled
			j.ByLot = c.falling(h.audit, s, segments, lots, from, at.Into)
			j.Besides = h.sample(s, segments, now, u)
		} else {
			j.Besides = s.entry(h.audit, segments, u)
		}
		if len(j.ByLot)+len(j.Besides) > 0 {
			jobs = append(jobs, j)
		}
	}
	return jobs
}

// window moves a group's pass on to a moment and returns since when audits that
// fell due are not done. What an earlier cycle left undone stays undone.
func (g *seats) window(at audit.Moment) (from time.Duration) {
	switch p := &g.pass; {
	case !p.begun:
		from = at.Into
	case p.cycle == at.Cycle:
		from = min(p.into, at.Into)
	}
	g.pass.cycle, g.pass.into, g.pass.begun = at.Cycle, at.Into, true
	g.dirty = true
	return from
}

// council is the members that take part in a group's lots: this node, at index
// 0, and those that count as holders.
type council struct {
	seats  []*seat // by index; nil: this node
	keys   []group.Key
	living group.Set
}

func (h *Register) council(g *seats) council {
	c := council{seats: []*seat{nil}, keys: []group.Key{h.key}}
	c.living.Add(0)
	for i := range g.list {
		s := &g.list[i]
		if !s.counts() {
			continue
		}
		if s.who.state == liveness.Present {
			c.living.Add(len(c.keys))
		}
		c.seats, c.keys = append(c.seats, s), append(c.keys, s.who.key)
	}
	return c
}

// index returns a member's place in the council; -1: it is none.
func (c *council) index(id peer.ID) int {
	return slices.IndexFunc(c.seats, func(s *seat) bool { return s != nil && s.who.id == id })
}

// falling returns those of a seat's shards whose audit fell due in a span of the
// cycle, and for which the lot makes this node the auditor.
func (c *council) falling(set *audit.Settings, s *seat, segments []protocol.SegmentID, lots []group.Lot, from, to time.Duration) (out []protocol.SegmentID) {
	holder := slices.Index(c.seats, s)
	for i, l := range lots {
		shard := l.Of(int(s.slot))
		if due := audit.Due(set, shard); due <= from || due > to {
			continue
		}
		if _, lacked := s.lacks[segments[i]]; !lacked && audit.Auditor(shard, c.keys, c.living, holder) == 0 {
			out = append(out, segments[i])
		}
	}
	return out
}

// sample returns what a neighbour is asked for besides its audits by lot: an
// entry audit if it never had one, else one shard when its next sample is due,
// preferably one that it failed to prove. mu is held.
func (h *Register) sample(s *seat, segments []protocol.SegmentID, now time.Duration, u func() float64) []protocol.SegmentID {
	p := s.who
	first := !p.proved && !p.sampled
	if p.proved && !p.sampled { // to an earlier run of this node: not all of them together
		p.sampled = true
		p.nextSample = now + time.Duration(u()*float64(audit.NextSample(h.audit, 0, h.pace(p), u())))
	}
	if p.sampled && now < p.nextSample {
		return nil
	}
	p.sampled, p.nextSample = true, audit.NextSample(h.audit, now, h.pace(p), u())
	if first {
		return s.entry(h.audit, segments, u)
	}
	if len(s.audits.again) > 0 {
		next := s.audits.again[0]
		s.audits.again = s.audits.again[1:]
		return []protocol.SegmentID{next}
	}
	for f := range s.audits.faults {
		return []protocol.SegmentID{f}
	}
	return audit.Draw(segments, 1, u)
}

// entry draws the shards of an entry audit from those that the peer should have,
// and does not itself say that it lacks.
func (s *seat) entry(set *audit.Settings, segments []protocol.SegmentID, u func() float64) []protocol.SegmentID {
	out := make([]protocol.SegmentID, 0, set.EntryShards)
	for _, seg := range audit.Draw(segments, len(segments), u) {
		if _, lacks := s.lacks[seg]; !lacks && len(out) < set.EntryShards {
			out = append(out, seg)
		}
	}
	return out
}

// Listed takes out of a job the audits by lot of what the holder's list says that
// it lacks: that is known without an audit. A peer that was never audited, or
// asks for the slot, is to prove what it lists. A sample stays: it tests whether
// what the holder said is true.
func (h *Register) Listed(id protocol.GroupID, j AuditJob, segments []protocol.SegmentID, u func() float64) AuditJob {
	h.mu.Lock()
	defer h.mu.Unlock()
	g := h.groups[id]
	if g == nil {
		return AuditJob{}
	}
	s := g.at(j.Peer, j.Slot)
	if s == nil {
		return AuditJob{}
	}
	j.ByLot = slices.DeleteFunc(slices.Clone(j.ByLot), func(seg protocol.SegmentID) bool { _, lacked := s.lacks[seg]; return lacked })
	if j.First || j.Entry {
		j.Besides = s.entry(h.audit, segments, u)
	}
	return j
}

// Unlisted notes that a holder does not say what it has, so that it is not
// audited: one that has been away may not know yet what was deleted. It is
// asked again at the next pass. Once this has lasted for MendWithin it is audited
// all the same: then late is true.
func (h *Register) Unlisted(id protocol.GroupID, p peer.ID, slot int) (late bool) {
	late = h.Refusal(id, p, slot, protocol.CodeUnavailable)
	h.mu.Lock()
	defer h.mu.Unlock()
	if who := h.peers[p]; who != nil {
		who.sampled, who.nextSample = who.proved, h.moment()
	}
	return late
}
