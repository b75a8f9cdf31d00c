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
	return Seat{uint8(slot), peer.ID(id), KeyOf(peer.ID(id)), AddrDomain(netip.AddrFrom4([4]byte(a)))}
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

func TestWideCap(t *testing.T) {
	s := four()
	s.Held[1].Domain = AddrDomain(netip.AddrFrom4([4]byte{20, 0, 5, 1}))
	gone := View{Gone: set(2)}
	if got := s.MayEnter(named(2, "x", 20, 0, 9, 1), gone, false); got != Crowded {
		t.Errorf("a third of a wide prefix: %s", got)
	}
	s.Held[2].Domain = AddrDomain(netip.AddrFrom4([4]byte{20, 0, 6, 1}))
	if got := s.MayEnter(named(2, "x", 20, 0, 9, 1), gone, false); got != Welcome {
		t.Errorf("a third in the place of a third: %s", got)
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
