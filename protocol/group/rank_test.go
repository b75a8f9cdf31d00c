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
	if got := fmt.Sprintf("%x %x %x %d", uint64(l), uint64(l.Of(1)), uint64(KeyOf("a")), l.First(keys(9), Full(9))); got != lotVector {
		t.Fatal(got)
	}
}

// Work falls to all alike, and one member's leaving moves nobody else's.
func TestLotIsFair(t *testing.T) {
	const members, lots = 30, 30_000
	all := keys(members)
	var got [members]int
	for i := range lots {
		l := NewLot("test", protocol.GroupID{}, int64(i/10)).Of(i % 10)
		first := l.First(all, Full(members))
		got[first]++
		less := Full(members)
		less.Remove(first)
		second := l.First(all, less)
		if l.Place(all, Full(members), first) != 0 || l.Place(all, Full(members), second) != 1 || l.Place(all, less, second) != 0 {
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

func TestSet(t *testing.T) {
	for _, n := range []int{-1, 0, 1, 63, 64, 65, 128, 255, 256, 300} {
		s := Full(n)
		if want := min(max(n, 0), MaxMembers); s.Count() != want || s.Has(want) || want > 0 && !s.Has(want-1) {
			t.Errorf("full %d: %v", n, s)
		}
	}
	var s Set
	for _, i := range []int{-1, 0, 64, 200, 256, 1 << 40} {
		s.Add(i)
	}
	if s.Count() != 3 || !s.Has(200) || s.Has(-1) || s.Has(256) {
		t.Error(s)
	}
	if o := s.And(Full(64)); o.Count() != 1 {
		t.Error(o)
	}
	if o := s.Or(Full(64)); o.Count() != 66 {
		t.Error(o)
	}
	if o := s.Without(Full(64)); o.Count() != 2 {
		t.Error(o)
	}
	s.Remove(200)
	s.Remove(999)
	if s.Count() != 2 {
		t.Error(s)
	}
}

const lotVector = "d203c482fd261604 1b7267be831f1f94 7e5b173d69464120 1"
