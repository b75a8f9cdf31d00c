package neighbours

import (
	"bytes"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// What is known of groups' seats and of neighbours lies in two kinds of notes:
// each group's seats next to its facts, each neighbour's standing next to the
// facts of the first group that it shares. A lost or damaged note means that
// its clocks begin anew, never that somebody is gone.

// seatsNote is a group's seats.
type seatsNote struct {
	V     int        `cbor:"v"`
	At    int64      `cbor:"at"` // milliseconds on the watch; of several notes the latest counts
	Pass  passNote   `cbor:"pass"`
	Seats []seatNote `cbor:"seats"`
}

type seatNote struct {
	_     struct{} `cbor:",toarray"`
	Slot  int
	Peer  []byte // empty: the peer that the table names
	State uint8  // seatDrawn and others
	Lost  uint8
	Since int64 // Unix seconds

	Audits auditNote
	Faults []faultNote
}

// passNote is how far audits have come, in milliseconds of a cycle.
type passNote struct {
	_     struct{} `cbor:",toarray"`
	Cycle int64
	Into  int64
	Begun bool
}

// auditNote is an audit.Record, in milliseconds.
type auditNote struct {
	_          struct{} `cbor:",toarray"`
	ProvedAt   int64
	FailedAt   int64
	ReportedAt int64
	Turned     int64
	Audited    uint32
	Before     uint32
	Slow       uint8
	Proved     bool
}

// faultNote is a shard that the holder does not have.
type faultNote struct {
	_       struct{} `cbor:",toarray"`
	Segment protocol.SegmentID
	Self    bool
	At      int64 // milliseconds on the watch
}

// Bits of a seatNote's State.
const (
	seatDrawn  = 1
	seatProven = 2
	seatAsks   = 4
	seatKnows  = 8
	seatSpare  = 16
	seatBarred = 32 // it refuses this node its slot

	seatBits = seatDrawn | seatProven | seatAsks | seatKnows | seatSpare | seatBarred
)

const (
	viewVersion = 1
	// maxSeatsNoted and maxStandingsNoted keep notes within storage.MaxFact.
	maxSeatsNoted     = 128
	maxFaultsNoted    = 24
	maxStandingsNoted = 128
	// maxMoment bounds moments on the watch, in milliseconds: a thousand years.
	maxMoment = 1000 * 365 * 24 * 60 * 60 * 1000
)

func ms(d time.Duration) int64                { return d.Milliseconds() }
func fromMS(milliseconds int64) time.Duration { return time.Duration(milliseconds) * time.Millisecond }

// note writes the group's seats down: first those that count, then those that did,
// then spares and peers that ask. Strangers are left out: they ask again. mu is held.
func (g *seats) note(at time.Duration) (storage.Fact, error) {
	n := seatsNote{V: viewVersion, At: ms(at), Pass: passNote{Cycle: g.pass.cycle, Into: ms(g.pass.into), Begun: g.pass.begun}, Seats: []seatNote{}}
	room := maxFaultsNoted
	for _, of := range [...]func(*seat) bool{
		(*seat).counts,
		func(s *seat) bool { return !s.counts() && (s.drawn || s.proven) },
		func(s *seat) bool { return !s.drawn && !s.proven && !s.stranger() },
	} {
		for i := range g.list {
			if s := &g.list[i]; of(s) && len(n.Seats) < maxSeatsNoted {
				n.Seats = append(n.Seats, s.note(&room))
			}
		}
	}
	return note.New(g.id, note.Seats, n)
}

// note writes a seat down, with as many of its faults as there is room for: the
// next audits find the others again.
func (s *seat) note(room *int) seatNote {
	r := s.audits.Record
	n := seatNote{Slot: int(s.slot), Peer: []byte{}, Lost: uint8(s.lost), Since: s.since, Faults: []faultNote{}, Audits: auditNote{
		ProvedAt: ms(r.ProvedAt), FailedAt: ms(r.FailedAt), ReportedAt: ms(r.ReportedAt), Turned: ms(r.Turned),
		Audited: r.Audited, Before: r.Before, Slow: r.Slow, Proved: r.Proved,
	}}
	for seg, f := range s.audits.faults {
		if *room > 0 {
			n.Faults = append(n.Faults, faultNote{Segment: seg, Self: f.self, At: ms(f.at)})
			*room--
		}
	}
	slices.SortFunc(n.Faults, func(a, b faultNote) int { return bytes.Compare(a.Segment[:], b.Segment[:]) })
	for _, b := range [...]struct {
		on  bool
		bit uint8
	}{{s.drawn, seatDrawn}, {s.proven, seatProven}, {s.asks && !s.beside, seatAsks}, {s.knows, seatKnows}, {s.spare, seatSpare}, {s.refuses, seatBarred}} {
		if b.on {
			n.State |= b.bit
		}
	}
	if !s.drawn {
		n.Peer = []byte(s.who.id)
	}
	return n
}

func parseSeatsNote(b []byte) (*seatsNote, error) {
	n := new(seatsNote)
	if err := protocol.Decode("note of seats", b, n); err != nil {
		return nil, err
	}
	bad := n.V != viewVersion || outOfTime(n.At, n.Pass.Into) || len(n.Seats) > maxSeatsNoted
	for _, s := range n.Seats {
		a := s.Audits
		bad = bad || outOfTime(a.ProvedAt, a.FailedAt, a.ReportedAt, a.Turned) || len(s.Faults) > maxFaultsNoted
		for _, f := range s.Faults {
			bad = bad || outOfTime(f.At)
		}
		drawn := s.State&seatDrawn != 0
		bad = bad || s.Slot < 0 || s.Slot >= protocol.MaxShards || s.State > seatBits ||
			s.Lost > uint8(LostHanded) || s.Since < 0 || s.Since > protocol.MaxInt || drawn != (len(s.Peer) == 0) || !drawn && peer.ID(s.Peer).Validate() != nil
	}
	if bad {
		return nil, protocol.Refuse(protocol.CodeMalformed, "note of seats: a number is out of range")
	}
	return n, nil
}

// apply takes a note of a group's seats. mu is held.
func (h *Register) apply(g *seats, n *seatsNote) {
	at := fromMS(n.At)
	if !h.running {
		h.watch.Now = max(h.watch.Now, at)
	}
	g.pass.cycle, g.pass.into, g.pass.begun = n.Pass.Cycle, fromMS(n.Pass.Into), n.Pass.Begun
	for _, v := range n.Seats {
		var s *seat
		if v.State&seatDrawn == 0 && peer.ID(v.Peer) != h.self && v.Slot < g.profile.N {
			s = h.sit(g, peer.ID(v.Peer), v.Slot, nil)
		} else {
			s = g.drawnAt(v.Slot)
		}
		if s == nil {
			continue
		}
		s.proven, s.asks, s.knows = v.State&seatProven != 0, v.State&seatAsks != 0, v.State&seatKnows != 0
		if s.proven {
			h.enrol(s.who)
		}
		s.spare, s.refuses = v.State&seatSpare != 0, v.State&seatBarred != 0
		if s.since = v.Since; s.drawn || s.proven {
			s.lost = Loss(v.Lost)
		}
		if at <= h.watch.Now {
			s.audits.restore(&v)
			s.who.proved = s.who.proved || s.audits.Proved
		}
	}
}

// restore takes what was noted of a seat's audits. Faults that the note had no
// room for no longer count.
func (a *audits) restore(v *seatNote) {
	n := &v.Audits
	a.Record = audit.Record{
		ProvedAt: fromMS(n.ProvedAt), FailedAt: fromMS(n.FailedAt), ReportedAt: fromMS(n.ReportedAt), Turned: fromMS(n.Turned),
		Audited: n.Audited, Before: n.Before, Slow: n.Slow, Proved: n.Proved,
	}
	for _, f := range v.Faults {
		a.fault(f.Segment, fault{f.Self, fromMS(f.At)})
	}
	for _, f := range a.faults {
		if f.self {
			a.Self++
		} else {
			a.Unmended++
		}
	}
}

// drawnAt returns the seat of the peer that the table names at a slot, or nil.
func (g *seats) drawnAt(slot int) *seat {
	for i := range g.list {
		if s := &g.list[i]; int(s.slot) == slot && s.drawn {
			return s
		}
	}
	return nil
}

func outOfTime(moments ...int64) bool {
	return slices.ContainsFunc(moments, func(m int64) bool { return m < 0 || m > maxMoment })
}
