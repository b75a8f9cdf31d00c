package group

import (
	"net/netip"
	"strconv"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/cairnstore/cairn/protocol"
)

var profiles = []protocol.Profile{
	{K: 20, R: 36, N: 56}, {K: 8, R: 20, N: 30}, {K: 4, R: 9, N: 14}, {K: 2, R: 4, N: 6},
	{K: 1, R: 2, N: 3}, {K: 1, R: 1, N: 2}, {K: 1, R: 1, N: 1}, {K: 3, R: 3, N: 3},
}

// In every count of every profile: one more holder, audit or answer never makes a
// segment worse, nor moves it up in the queue.
func TestMoreIsNeverWorse(t *testing.T) {
	for _, p := range profiles {
		for holding := range p.N + 1 {
			for unaudited := range p.N - holding + 1 {
				for answering := range holding + unaudited + 1 {
					c := Count{holding, unaudited, answering}
					for _, more := range []Count{
						{holding + 1, unaudited, answering},
						{holding + 1, unaudited, answering + 1},
						{holding + 1, unaudited - 1, answering},
						{holding, unaudited, answering + 1},
					} {
						if more.Unaudited < 0 || more.Holding+more.Unaudited > p.N || more.Answering > more.Holding+more.Unaudited {
							continue
						}
						if Assess(p, more) > Assess(p, c) {
							t.Fatalf("%v: %+v is %s, %+v is %s", p, c, Assess(p, c), more, Assess(p, more))
						}
						if Endangered(p, more, true) < Endangered(p, c, true) {
							t.Fatalf("%v: %+v comes before %+v", p, more, c)
						}
					}
				}
			}
		}
	}
}

func drawSet(t *rapid.T, n int, name string) (s Set) {
	for _, i := range rapid.SliceOfN(rapid.IntRange(0, max(n-1, 0)), 0, n).Draw(t, name) {
		s.Add(i)
	}
	return s
}

// Tally agrees with counting slot by slot, and one seat less in any set of faults
// never lowers a count.
func TestTallyAgainstPlainCounting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 30).Draw(t, "slots")
		slots := rapid.SliceOfN(rapid.Uint8Range(0, uint8(n-1)), 0, 2*n).Draw(t, "seats")
		v := View{
			Gone: drawSet(t, len(slots), "gone"), Unaudited: drawSet(t, len(slots), "unaudited"), Silent: drawSet(t, len(slots), "silent"),
			Weak: drawSet(t, len(slots), "weak"), Released: drawSet(t, len(slots), "released"),
		}
		lacking := drawSet(t, len(slots), "lacking")
		tally := NewTally(slots, v)
		got := tally.Count(lacking)
		if want := plainCount(n, slots, v, lacking); got != want {
			t.Fatalf("%+v, not %+v", got, want)
		}
		if len(slots) == 0 {
			return
		}
		i := rapid.IntRange(0, len(slots)-1).Draw(t, "better")
		for _, s := range []*Set{&v.Gone, &v.Weak, &v.Released, &v.Silent, &lacking} {
			s.Remove(i)
			tally = NewTally(slots, v)
			more := tally.Count(lacking)
			if more.Holding < got.Holding || more.Holding+more.Unaudited < got.Holding+got.Unaudited || more.Answering < got.Answering {
				t.Fatalf("%+v became %+v", got, more)
			}
			got = more
		}
	})
}

func plainCount(n int, slots []uint8, v View, lacking Set) (c Count) {
	for slot := range n {
		var sound, unaudited, answers bool
		for i, s := range slots {
			if int(s) != slot || v.Gone.Has(i) || v.Weak.Has(i) || v.Released.Has(i) || lacking.Has(i) {
				continue
			}
			sound = sound || !v.Unaudited.Has(i)
			unaudited = unaudited || v.Unaudited.Has(i)
			answers = answers || !v.Silent.Has(i)
		}
		switch {
		case sound:
			c.Holding++
		case unaudited:
			c.Unaudited++
		}
		if answers {
			c.Answering++
		}
	}
	return c
}

// Whichever peers ask and leave, MayEnter never seats one twice, and where the
// owner drew one peer of each domain, no domain ever holds two slots, nor a wide
// prefix three.
func TestSeatsKeepTheirPromises(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := rapid.SampledFrom(profiles[2:5]).Draw(t, "profile")
		ids := make([]peer.ID, p.N)
		for i := range ids {
			ids[i] = peer.ID("f" + strconv.Itoa(i))
		}
		s := NewSeats(p, ids, func(id peer.ID) Domain {
			nr, _ := strconv.Atoi(string(id[1:]))
			return AddrDomain(netip.AddrFrom4([4]byte{20, byte(nr), 0, 1}))
		})
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			v := View{Released: drawSet(t, len(s.Held), "released")}
			x := named(rapid.IntRange(0, p.N).Draw(t, "slot"), "p"+strconv.Itoa(rapid.IntRange(0, 9).Draw(t, "peer")),
				20, byte(rapid.IntRange(0, 20).Draw(t, "wide")), byte(rapid.IntRange(0, 1).Draw(t, "domain")), 1)
			if s.MayEnter(x, v, false) == Welcome {
				enter(s, x, v.Released)
			}
			if n := len(s.Held); n > 0 && rapid.IntRange(0, 3).Draw(t, "leave") == 0 {
				leave(s, rapid.IntRange(0, n-1).Draw(t, "who"))
			}
			checkSeats(t, s)
		}
	})
}

func checkSeats(t *rapid.T, s *Seats) {
	seen := make(map[peer.ID]bool)
	perSlot := make(map[uint8]int)
	slots := make(map[Domain]Set)
	wides := make(map[netip.Prefix]Set)
	for i, x := range s.Held {
		perSlot[x.Slot]++
		if seen[x.Peer] || perSlot[x.Slot] > 2 || i > 0 && s.Held[i-1].Slot > x.Slot {
			t.Fatalf("%+v", s.Held)
		}
		seen[x.Peer] = true
		wide, _ := x.Domain.Wide()
		slots[x.Domain], wides[wide] = slots[x.Domain].Or(set(int(x.Slot))), wides[wide].Or(set(int(x.Slot)))
		if slots[x.Domain].Count() > 1 || wides[wide].Count() > MaxPerWide {
			t.Fatalf("the spread is worse: %+v", s.Held)
		}
	}
}
