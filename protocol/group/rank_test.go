package group

import (
	"fmt"
	"math"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

func keys(n int) []Key {
	out := make([]Key, n)
	for i := range out {
		out[i] = KeyOf(peer.ID(fmt.Sprintf("member %d", i)))
	}
	return out
}

// One draw, fixed: a change here is a change of the norm.
func TestLotVector(t *testing.T) {
	l := NewLot("test", protocol.GroupID{1}, 7, 2, 3)
	if got := fmt.Sprintf("%x %x %x %d", uint64(l), uint64(l.Of(1)), uint64(KeyOf("a")), l.First(keys(9), UpTo(9))); got != lotVector {
		t.Fatal(got)
	}
}

// Each member gets the same share of the work, and when one leaves, only its own
// work moves.
func TestLotIsFair(t *testing.T) {
	const members, lots = 30, 30_000
	all := keys(members)
	var got [members]int
	for i := range lots {
		l := NewLot("test", protocol.GroupID{}, int64(i/10)).Of(i % 10)
		first := l.First(all, UpTo(members))
		got[first]++
		less := UpTo(members)
		less.Remove(first)
		second := l.First(all, less)
		if l.Place(all, UpTo(members), first) != 0 || l.Place(all, UpTo(members), second) != 1 || l.Place(all, less, second) != 0 {
			t.Fatal("places and firsts differ")
		}
	}
	for i, n := range got {
		if mean := float64(lots) / members; math.Abs(float64(n)-mean) > 6*math.Sqrt(mean) {
			t.Errorf("member %d got %d of %d", i, n, lots)
		}
	}
	var none Set
	if NewLot("test", protocol.GroupID{}, 0).First(all, none) != -1 {
		t.Error("nobody came first of none")
	}
}

func TestShare(t *testing.T) {
	var sum float64
	const n = 10_000
	for i := range n {
		s := Lot(0).Of(i).Share(1000)
		if s >= 1000 {
			t.Fatal(s)
		}
		sum += float64(s)
	}
	if mean := sum / n; mean < 480 || mean > 520 {
		t.Error(mean)
	}
}

const lotVector = "d203c482fd261604 1b7267be831f1f94 7e5b173d69464120 1"

// Turns go round the domains, and within a domain fall to one member.
func TestTurn(t *testing.T) {
	own := keys(12)
	domains := make([]Key, 12)
	for i := range domains {
		domains[i] = own[i/3] // four domains of three
	}
	for i := range 200 {
		l := Lot(0).Of(i)
		var seen Set
		for step := range 4 {
			m := l.Turn(domains, own, UpTo(12), step)
			if seen.Has(m / 3) {
				t.Fatal("one domain has two turns")
			}
			seen.Add(m / 3)
			if l.Turn(domains, own, UpTo(12), step+4) != m || l.Turn(domains, own, UpTo(12), step+4000) != m {
				t.Fatal("turns do not go round")
			}
			less := UpTo(12)
			less.Remove(m)
			if got := l.Turn(domains, own, less, step); got/3 != m/3 || got == m {
				t.Fatalf("the turn of member %d's domain went to %d", m, got)
			}
		}
		if first := l.Turn(own, own, UpTo(12), 0); first != l.First(own, UpTo(12)) {
			t.Fatal("the first turn is not the first's")
		}
		if l.Turn(own, own, Set{}, 2) != -1 {
			t.Fatal("nobody has a turn")
		}
	}
}
