package group

import (
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/cairnstore/cairn/protocol"
)

func TestRemaining(t *testing.T) {
	for _, c := range []struct {
		slots    []int
		k, worst int
		left     int
		readable bool
	}{
		{nil, 1, 5, 0, false},
		{[]int{1, 1, 1}, 1, 5, 0, false},
		{[]int{1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 4, 5, 9, true},
		{[]int{1, 2, 1, 2, 1, 2, 1, 2, 1, 1}, 4, 5, 5, true},
		{[]int{9, 1, 1, 1}, 4, 1, 3, false},
		{[]int{1, 1}, 1, 0, 2, true},
		{[]int{1, 1}, 1, -3, 2, true},
	} {
		before := slices.Clone(c.slots)
		left, ok := Remaining(c.slots, c.k, c.worst)
		if left != c.left || ok != c.readable || !slices.Equal(before, c.slots) {
			t.Errorf("%v without its worst %d: %d, %v", c.slots, c.worst, left, ok)
		}
	}
}

func TestHealthOf(t *testing.T) {
	p := protocol.Profile{K: 2, R: 4, N: 6}
	var held []Holder
	for slot := range 6 {
		held = append(held, Holder{slot, at(slot, 0, 1)})
	}
	h := HealthOf(p, held, false)
	if h != (Health{Reachable: 6, Needed: 2, Domains: 6, AfterWorst: 1}) || h.Lost() {
		t.Errorf("full group: %+v", h)
	}
	// Surplus holders, slots out of range and a crowded domain improve nothing.
	odd := []Holder{{0, at(0, 0, 1)}, {0, at(1, 0, 1)}, {-1, at(2, 0, 1)}, {6, at(3, 0, 1)}, {200, at(3, 0, 1)}, {5, at(0, 0, 2)}}
	if h := HealthOf(p, odd, false); h != (Health{Reachable: 2, Needed: 2, Domains: 1}) {
		t.Errorf("odd holders: %+v", h)
	}
	if h := HealthOf(p, held[:1], false); !h.Lost() {
		t.Errorf("one slot of two needed: %+v", h)
	}
}

func TestAnnouncers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var members []peer.ID
		for i := range rapid.IntRange(0, 60).Draw(t, "members") {
			members = append(members, peer.ID(strconv.Itoa(i)))
		}
		g := protocol.GroupID{byte(rapid.IntRange(0, 255).Draw(t, "group"))}
		want := Announcers(g, members)
		if len(want) != min(len(members), MaxAnnouncers) {
			t.Fatalf("%d announcers of %d", len(want), len(members))
		}
		mixed := append(slices.Clone(members), members...)
		mixed = append(mixed, "", "")
		seeded(rapid.Uint64().Draw(t, "seed")).Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		if !slices.Equal(Announcers(g, mixed), want) {
			t.Fatal("order, vacancies or repetitions change who announces")
		}
		// A member that leaves is replaced, and nobody else changes.
		if len(members) > MaxAnnouncers {
			less := slices.DeleteFunc(slices.Clone(members), func(id peer.ID) bool { return id == want[0] })
			if !slices.Equal(Announcers(g, less)[:MaxAnnouncers-1], want[1:]) {
				t.Fatal("one member's leaving moves others")
			}
		}
	})
}

// One order, fixed: a change here is a change of the norm.
func TestAnnouncersVector(t *testing.T) {
	got := Announcers(protocol.GroupID{1}, []peer.ID{"a", "b", "c", "d"})
	if !slices.Equal(got, announcersVector) {
		t.Fatalf("%q", got)
	}
}

var announcersVector = []peer.ID{"b", "d", "a", "c"}

func BenchmarkHealthOf(b *testing.B) {
	p := protocol.Profile{K: 20, R: 36, N: 56}
	var held []Holder
	for slot := range p.N {
		held = append(held, Holder{slot, Candidate{Addr: netip.AddrFrom4([4]byte{11, byte(slot), 0, 1})}})
	}
	b.ReportAllocs()
	for b.Loop() {
		HealthOf(p, held, false)
	}
}
