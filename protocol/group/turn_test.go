package group

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

func TestDayAt(t *testing.T) {
	g := protocol.GroupID{}
	for _, c := range []struct {
		wall time.Duration
		want Day
	}{
		{0, Day{0, 0}}, {6*time.Hour - 1, Day{0, 0}}, {6 * time.Hour, Day{0, 1}}, {day - 1, Day{0, 3}}, {day, Day{1, 0}}, {-1, Day{-1, 3}}, {-day, Day{-1, 0}},
	} {
		if got := DayAt(g, day, time.Unix(0, int64(c.wall))); got != c.want {
			t.Errorf("%v: %+v", c.wall, got)
		}
	}
	half := protocol.GroupID{0x80}
	if got := DayAt(half, day, time.Unix(0, 0)); got != (Day{0, 2}) {
		t.Errorf("shifted by half a day: %+v", got)
	}
	if got := DayAt(g, 0, time.UnixMilli(9)); got != (Day{2, 1}) {
		t.Errorf("a day of no length: %+v", got)
	}
}

// A slot's drawer is a living member, another one after six hours, and a domain
// with many members draws no more often than a domain with one.
func TestDrawer(t *testing.T) {
	const members = 10 // of which 5 … 9 share a domain
	own := keys(members)
	domains := make([]Key, members)
	for i := range domains {
		domains[i] = DomainKey(AddrDomain(netip.AddrFrom4([4]byte{20, byte(min(i, 5)), 0, byte(i)})), own[i])
	}
	var crowd int
	const days = 3000
	for d := range int64(days) {
		first := Drawer(protocol.GroupID{7}, 3, Day{d, 0}, own, domains, UpTo(members))
		if first >= 5 {
			crowd++
		}
		second := Drawer(protocol.GroupID{7}, 3, Day{d, 1}, own, domains, UpTo(members))
		if domains[first] == domains[second] {
			t.Fatal("the second turn is the first domain's")
		}
		dead := UpTo(members)
		dead.Remove(first)
		if got := Drawer(protocol.GroupID{7}, 3, Day{d, 0}, own, domains, dead); got == first {
			t.Fatal("a dead member draws")
		}
	}
	if crowd < days/6*3/4 || crowd > days/6*5/4 {
		t.Errorf("five members of one domain of six draw %d of %d", crowd, days)
	}
}

func TestRedraw(t *testing.T) {
	s := four()
	gone := View{Gone: set(1)}
	here := func(id string, a, b byte) Candidate {
		return Candidate{Peer: peer.ID(id), Addr: netip.AddrFrom4([4]byte{a, b, 0, 9}), Free: 100}
	}
	full := here("full", 40, 0)
	full.Free = 99
	cands := []Candidate{here("0", 50, 0), here("1", 51, 0), here("near", 20, 2), here("good", 41, 0), full, here("place", 20, 1)}
	for seed := range uint64(50) {
		got := s.Redraw(1, cands, 100, false, gone, seeded(seed))
		seen := map[peer.ID]bool{}
		for _, c := range got {
			seen[c.Peer] = true
		}
		if len(got) != 2 || !seen["good"] || !seen["place"] {
			t.Fatalf("seed %d: %v", seed, got)
		}
	}
	if got := s.Redraw(1, cands[:1], 100, false, gone, seeded(1)); len(got) != 0 {
		t.Errorf("a member was drawn: %v", got)
	}
}

// The member whose turn it is may draw, also in the eyes of others that see two
// members fewer or more; a member far from its turn may not.
func TestPlausibleDrawer(t *testing.T) {
	g := protocol.GroupID{5}
	keys := make([]Key, 20)
	for i := range keys {
		keys[i] = KeyOf(peer.ID(fmt.Sprint("member ", i)))
	}
	all, others := UpTo(len(keys)), 0
	for day := range int64(50) {
		for step := range stepsADay {
			d := Day{day, step}
			seen := all
			seen.Remove(int(day) % 20)
			seen.Remove(int(day+7) % 20)
			if i := Drawer(g, 3, d, keys, keys, seen); !PlausibleDrawer(g, 3, d, keys, all, i) {
				t.Errorf("day %d, step %d: whose turn it is for one that sees two fewer may not draw", day, step)
			}
			if i := Drawer(g, 3, d, keys, keys, all); !PlausibleDrawer(g, 3, d, keys, seen, i) {
				t.Errorf("day %d, step %d: whose turn it is for one that sees two more may not draw", day, step)
			}
			for i := range keys {
				if PlausibleDrawer(g, 3, d, keys, all, i) {
					others++
				}
			}
		}
	}
	if mean := float64(others) / (50 * stepsADay); mean < 1 || mean > 5 {
		t.Errorf("%.1f of 20 may draw at a time", mean)
	}
}
