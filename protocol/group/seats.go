package group

import (
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// maxHolders is how many living holders a slot must have to keep former ones from
// coming back to it: its holder and one surplus.
const maxHolders = 2

// Seat is a peer in a slot, as one member believes it.
type Seat struct {
	Slot   uint8
	Peer   peer.ID
	Key    Key    // KeyOf(Peer)
	Domain Domain // by the address at which this member sees it; zero: not seen yet
	Drawn  bool   // by the owner: the table that it signed names the peer here
}

// Seats is who holds and who held which slot of a group, as one member believes.
// It begins as the owner's table and changes by proof only: a peer enters by its
// own request and after passing this member's audit, and leaves when this member
// judges so or the peer itself hands over. No member believes another's table, and
// two that differ do no harm.
//
// Peers that hold a slot are addressed by index into Held; every change may move
// indexes, so make a new View after one. Methods that decide do not allocate.
type Seats struct {
	Profile protocol.Profile
	Same    uint8  // the most holders that the owner drew into one domain, as first seen
	Near    uint8  // the same for one wide prefix
	Held    []Seat // by slot
	Former  []Seat // held their slot before
}

// NewSeats returns the table that the owner signed. holders are by slot, ""
// where it is vacant; domain tells where this member sees each: the zero Domain
// if it has not seen it yet, and Observe will add it.
func NewSeats(p protocol.Profile, holders []peer.ID, domain func(peer.ID) Domain) *Seats {
	s := &Seats{Profile: p}
	for slot, id := range holders[:min(len(holders), p.N)] {
		if id != "" {
			s.Held = append(s.Held, Seat{Slot: uint8(slot), Peer: id, Key: KeyOf(id), Drawn: true})
			s.Observe(len(s.Held)-1, domain(id))
		}
	}
	return s
}

// Find returns the index of the peer's seat; -1 where it has none.
func (s *Seats) Find(id peer.ID) int {
	return slices.IndexFunc(s.Held, func(x Seat) bool { return x.Peer == id })
}

// Keys lists the key of each seat, by index. Like DomainKeys and Slots it
// allocates, and its result holds until the next change.
func (s *Seats) Keys() []Key {
	out := make([]Key, len(s.Held))
	for i := range s.Held {
		out[i] = s.Held[i].Key
	}
	return out
}

// DomainKeys lists the key of each seat's failure domain, by index. One hash per
// seat.
func (s *Seats) DomainKeys() []Key {
	out := make([]Key, len(s.Held))
	for i := range s.Held {
		out[i] = DomainKey(s.Held[i].Domain, s.Held[i].Key)
	}
	return out
}

// Slots lists each seat's slot, by index.
func (s *Seats) Slots() []uint8 {
	out := make([]uint8, len(s.Held))
	for i := range s.Held {
		out[i] = s.Held[i].Slot
	}
	return out
}

// Vacant returns the slots without a holder: those in which every seat's peer is
// gone, has failed, or has handed the slot over. While repair is urgent, absent
// peers count as no holders either.
func (s *Seats) Vacant(v View, urgent bool) Set {
	out := v.Gone.Or(v.Released)
	if urgent {
		out = out.Or(v.Absent)
	}
	vacant := UpTo(s.Profile.N)
	for i := range s.Held {
		if !out.Has(i) {
			vacant.Remove(int(s.Held[i].Slot))
		}
	}
	return vacant
}

// Answer is the outcome of a request to enter.
type Answer uint8

// The answers. Only Welcome lets the peer in; one refused now may get in later.
const (
	Welcome   Answer = iota // may enter, once it has passed the audit of its slot
	Seated                  // has this seat already
	NoSlot                  // the profile has no such slot
	Occupied                // the slot has a holder and the peer never held it, or has maxHolders
	Elsewhere               // the peer has a seat in another slot
	Crowded                 // too many of its failure domain or wide prefix hold slots
)

// String names the answer in lower case.
func (a Answer) String() string {
	return [...]string{"welcome", "seated", "no such slot", "occupied", "has another slot", "crowded"}[a]
}

// MayEnter tells whether a peer may take a slot by its own request. Ask before
// the audit, and again after it. A slot whose holder never answered this member is
// not vacant, so nobody is drawn for it, but it is open to a peer that proves that
// it holds it. O(seats).
func (s *Seats) MayEnter(x Seat, v View, urgent bool) Answer {
	if int(x.Slot) >= s.Profile.N {
		return NoSlot
	}
	if i := s.Find(x.Peer); i >= 0 {
		if s.Held[i].Slot == x.Slot {
			return Seated
		}
		if !v.Gone.Has(i) {
			return Elsewhere
		}
	}
	open := v
	open.Gone = v.Gone.Or(v.Unheard) // a member that joined late must not count peers long dead as holders
	vacant := s.Vacant(open, urgent)
	switch {
	case !vacant.Has(int(x.Slot)) && (!s.held(x) || s.living(x.Slot, v) >= maxHolders):
		return Occupied
	case !s.Fits(int(x.Slot), x.Domain, v):
		return Crowded
	}
	return Welcome
}

// Fits reports whether a peer of a failure domain may take a slot without spoiling
// the group's spread: no other slot's holder is in its domain, and fewer than
// MaxPerWide are in its wide prefix; or, with this peer, there are no more than in
// the most crowded that the owner drew, because a small network has no better.
// O(seats).
func (s *Seats) Fits(slot int, d Domain, v View) bool {
	same, near := s.around(d, func(i int) bool { return int(s.Held[i].Slot) != slot && !v.Gone.Has(i) })
	return same < max(1, int(s.Same)) && near < max(MaxPerWide, int(s.Near))
}

// around counts the seats in a domain and in its wide prefix.
func (s *Seats) around(d Domain, counts func(int) bool) (same, near int) {
	wide, public := d.Wide()
	for i := range s.Held {
		if !counts(i) {
			continue
		}
		x := &s.Held[i]
		if x.Domain == d {
			same++
		}
		if public && x.Domain.kind == prefixDomain && wide.Contains(x.Domain.prefix.Addr()) {
			near++
		}
	}
	return same, near
}

// Observe notes the failure domain in which a seat's peer is seen now.
func (s *Seats) Observe(i int, d Domain) {
	x := &s.Held[i]
	first := x.Domain == Domain{}
	if x.Domain = d; !first || !x.Drawn || d == (Domain{}) {
		return // a peer that moves later does not loosen the caps
	}
	same, near := s.around(d, func(j int) bool { return s.Held[j].Drawn })
	s.Same, s.Near = max(s.Same, uint8(same)), max(s.Near, uint8(near))
}

// held reports whether the peer held that slot before.
func (s *Seats) held(x Seat) bool {
	return slices.ContainsFunc(s.Former, func(f Seat) bool { return f.Slot == x.Slot && f.Peer == x.Peer })
}

// living counts the slot's seats that are not gone.
func (s *Seats) living(slot uint8, v View) (n int) {
	for i := range s.Held {
		if s.Held[i].Slot == slot && !v.Gone.Has(i) {
			n++
		}
	}
	return n
}
