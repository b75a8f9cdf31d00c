package group

import (
	"net/netip"
	"strconv"
	"testing"
	"time"

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

func TestMayEnter(t *testing.T) {
	left := four()
	left.Leave(3)
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

// The caps are the draw's, or what the owner could not do better than; who moves
// later, or plays musical chairs, does not loosen them.
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

	// Musical chairs: one domain holds slot after slot, and then wants all.
	s := spread
	for slot := range 3 {
		i := s.Find(peer.ID('0' + rune(slot)))
		c := named(slot, "c"+strconv.Itoa(slot), 50, 0, 0, 1)
		if got := s.Enter(c, View{Gone: set(i)}, false); got != Welcome {
			t.Fatal(got)
		}
		s.Leave(s.Find(c.Peer))
	}
	if s.Enter(named(0, "c0", 50, 0, 0, 1), View{}, false) != Welcome || s.Enter(named(1, "c1", 50, 0, 0, 1), View{}, false) != Crowded {
		t.Error("a domain that held two slots in turn holds both")
	}
}

func TestEnterAndReturn(t *testing.T) {
	s := four()
	x := named(1, "x", 30, 0, 0, 1)
	if s.Enter(x, View{}, false) != Occupied || len(s.Held) != 4 {
		t.Fatal("an occupied slot was taken")
	}
	if s.Enter(x, View{Gone: set(1)}, false) != Welcome || s.Find("x") != 1 || s.Find("1") != -1 || len(s.Held) != 4 {
		t.Fatalf("after a death: %+v", s.Held)
	}
	// The dead one returns: surplus, which harms nobody.
	if s.Enter(named(1, "1", 20, 1, 0, 1), View{}, false) != Welcome || len(s.Held) != 5 || len(s.Former) != 0 {
		t.Fatalf("after its return: %+v", s.Held)
	}
	if s.Find("x") != 1 || s.Find("1") != 2 || s.Find("2") != 3 {
		t.Errorf("order: %+v", s.Held)
	}
	// One of the two leaves: the slot is not vacant.
	s.Leave(1)
	if v := s.Vacant(View{}, false); v.Count() != 0 {
		t.Errorf("vacant: %v", v)
	}
	// A third holder while all of the slot's are absent pushes the first out.
	s.Enter(named(1, "x", 30, 0, 0, 1), View{}, false)
	if s.Enter(named(1, "y", 31, 0, 0, 1), View{Absent: set(1, 2)}, true) != Welcome || s.Find("1") != -1 || len(s.Held) != 5 {
		t.Errorf("third holder: %+v", s.Held)
	}
	if s.MayEnter(named(1, "1", 20, 1, 0, 1), View{}, false) != Occupied {
		t.Error("a third living holder returns")
	}
}

// Nobody's requests make the table grow beyond its bounds.
func TestSeatsAreBounded(t *testing.T) {
	s := four()
	for i := range 1000 {
		x := named(i%4, "x"+strconv.Itoa(i), 30, byte(i>>8), byte(i), 1)
		s.Name(x, View{}, true, 0, time.Hour)
		s.Enter(x, View{Absent: UpTo(len(s.Held))}, true)
		s.Name(named(i%4, "y"+strconv.Itoa(i), 40, byte(i>>8), byte(i), 1), View{Gone: UpTo(len(s.Held))}, true, 0, time.Hour)
	}
	if len(s.Held) > 8 || len(s.Former) > 8 || len(s.Named) > 4 {
		t.Errorf("%d held, %d former, %d named", len(s.Held), len(s.Former), len(s.Named))
	}
}

func TestName(t *testing.T) {
	s := four()
	x, y, gone := named(1, "x", 30, 0, 0, 1), named(1, "y", 31, 0, 0, 1), View{Gone: set(1)}
	if s.Name(x, View{}, false, 0, 10) != Occupied || s.Candidate(1, 0) != nil {
		t.Error("named for a slot that has its holder")
	}
	if s.Name(x, gone, false, 0, 10) != Welcome || s.Name(y, gone, false, 9, 20) != Occupied || s.Candidate(1, 9).Peer != "x" {
		t.Error("the first named does not stay")
	}
	if s.Candidate(1, 10) != nil || s.Name(y, gone, false, 10, 20) != Welcome || s.Candidate(1, 19).Peer != "y" {
		t.Error("the first named stays for ever")
	}
	if s.Enter(y, gone, false) != Welcome || s.Candidate(1, 19) != nil {
		t.Error("who entered is still named")
	}
}
