package group

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

func named(slot int, id string, a ...byte) Seat {
	return Seat{Slot: uint8(slot), Peer: peer.ID(id), Key: KeyOf(peer.ID(id)), Domain: AddrDomain(netip.AddrFrom4([4]byte(a)))}
}

// four returns a group of four whose holders 0 … 3 lie in 20.0.0 … 20.3.0.
func four() *Seats {
	return NewSeats(protocol.Profile{K: 1, R: 2, N: 4}, []peer.ID{"0", "1", "2", "3"}, func(id peer.ID) Domain {
		return AddrDomain(netip.AddrFrom4([4]byte{20, id[0] - '0', 0, 1}))
	})
}

// leave takes a seat from its peer.
func leave(s *Seats, i int) {
	s.Former = append(s.Former, s.Held[i])
	s.Held = slices.Delete(s.Held, i, i+1)
}

// enter gives a peer that may enter its seat; the slot's seats in out leave.
func enter(s *Seats, x Seat, out Set) {
	for i := len(s.Held) - 1; i >= 0; i-- {
		if s.Held[i].Peer == x.Peer || s.Held[i].Slot == x.Slot && out.Has(i) {
			leave(s, i)
		}
	}
	s.Held = append(s.Held, x)
	slices.SortStableFunc(s.Held, func(a, b Seat) int { return int(a.Slot) - int(b.Slot) })
	s.Former = slices.DeleteFunc(s.Former, func(f Seat) bool { return f.Slot == x.Slot && f.Peer == x.Peer })
}

func TestMayEnter(t *testing.T) {
	left := four()
	leave(left, 3)
	for _, c := range []struct {
		name   string
		s      *Seats
		x      Seat
		v      View
		urgent bool
		want   Answer
	}{
		{"occupied", four(), named(1, "x", 30, 0, 0, 1), View{}, false, Occupied},
		{"the holder is silent", four(), named(1, "x", 30, 0, 0, 1), View{Silent: set(1)}, true, Occupied},
		{"the holder is absent", four(), named(1, "x", 30, 0, 0, 1), View{Absent: set(1)}, false, Occupied},
		{"absent, and urgent", four(), named(1, "x", 30, 0, 0, 1), View{Absent: set(1)}, true, Welcome},
		{"gone", four(), named(1, "x", 30, 0, 0, 1), View{Gone: set(1)}, false, Welcome},
		{"never heard", four(), named(1, "x", 30, 0, 0, 1), View{Unheard: set(1)}, false, Welcome},
		{"another never heard", four(), named(1, "x", 30, 0, 0, 1), View{Unheard: set(2)}, false, Occupied},
		{"handed over", four(), named(1, "x", 30, 0, 0, 1), View{Released: set(1)}, false, Welcome},
		{"another is gone", four(), named(2, "x", 30, 0, 0, 1), View{Gone: set(1)}, false, Occupied},
		{"vacant", left, named(3, "x", 30, 0, 0, 1), View{}, false, Welcome},
		{"no such slot", four(), named(4, "x", 30, 0, 0, 1), View{}, false, NoSlot},
		{"has it", four(), named(1, "1", 20, 1, 0, 1), View{}, false, Seated},
		{"has another", left, named(3, "1", 20, 1, 0, 1), View{}, false, Elsewhere},
		{"had another, and is gone there", left, named(3, "1", 20, 1, 0, 1), View{Gone: set(1)}, false, Welcome},
		{"held it before", left, named(3, "3", 20, 3, 0, 1), View{}, false, Welcome},
		{"another's domain", left, named(3, "x", 20, 1, 0, 9), View{}, false, Crowded},
		{"the domain of one gone", left, named(3, "x", 20, 1, 0, 9), View{Gone: set(1)}, false, Welcome},
		{"the domain of the one before", left, named(3, "x", 20, 3, 0, 9), View{}, false, Welcome},
		{"the domain of the one absent", four(), named(1, "x", 20, 1, 0, 9), View{Absent: set(1)}, true, Welcome},
		{"a second of a wide prefix", left, named(3, "x", 20, 1, 7, 9), View{}, false, Welcome},
	} {
		if got := c.s.MayEnter(c.x, c.v, c.urgent); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

// The caps are those of the draw, or the best that the owner could do; a peer that
// moves later does not loosen them.
func TestCaps(t *testing.T) {
	in := func(b, c byte) Domain { return AddrDomain(netip.AddrFrom4([4]byte{20, b, c, 1})) }
	seats := func(domains ...Domain) *Seats {
		return NewSeats(protocol.Profile{K: 1, R: 2, N: 4}, []peer.ID{"0", "1", "2", "3"}, func(id peer.ID) Domain {
			return domains[id[0]-'0']
		})
	}
	gone := View{Gone: set(2)}
	x := named(2, "x", 20, 0, 9, 1)
	spread := seats(in(0, 1), in(1, 1), in(2, 1), in(3, 1))
	moved := seats(in(0, 1), in(1, 1), in(2, 1), in(3, 1))
	moved.Observe(1, in(0, 2))
	late := seats(in(0, 1), in(0, 2), Domain{}, in(3, 1))
	for _, c := range []struct {
		name string
		s    *Seats
		x    Seat
		want Answer
	}{
		{"a second of a wide prefix", spread, x, Welcome},
		{"a third, after one moved", moved, x, Crowded},
		{"a third, as the owner drew", seats(in(0, 1), in(0, 2), in(0, 3), in(3, 1)), x, Welcome},
		{"a third", late, x, Crowded},
		{"a second of a domain", seats(in(0, 1), in(1, 1), in(2, 1), in(0, 1)), named(2, "x", 20, 1, 1, 7), Welcome},
		{"a third of a domain", seats(in(0, 1), in(1, 1), in(2, 1), in(0, 1)), named(2, "x", 20, 0, 1, 7), Crowded},
	} {
		if got := c.s.MayEnter(c.x, gone, false); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
	late.Observe(2, in(0, 3))
	if got := late.MayEnter(x, gone, false); got != Welcome {
		t.Errorf("a third, as the owner drew and was seen late: %s", got)
	}
	if unseen := seats(Domain{}, Domain{}, Domain{}, Domain{}); unseen.Same != 0 {
		t.Error("peers not seen yet count as a crowd")
	}
}
