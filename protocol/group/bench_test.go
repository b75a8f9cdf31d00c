package group

import (
	"strconv"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

func TestNothingAllocates(t *testing.T) {
	p := profiles[0]
	ids := make([]peer.ID, p.N)
	for i := range ids {
		ids[i] = peer.ID("a peer ID of usual length, which has 38 " + strconv.Itoa(i))
	}
	s := NewSeats(p, ids, func(id peer.ID) Domain { return Domain{kind: peerDomain, peer: id} })
	own, domains, slots := s.Keys(), s.DomainKeys(), s.Slots()
	v := View{Gone: set(1, 7), Absent: set(9), Silent: set(1, 7, 9)}
	x := named(1, "x", 30, 0, 0, 1)
	l := Lease{Known: 1, Last: 2}
	sink := 0
	for name, f := range map[string]func(){
		"Tally":    func() { tally := NewTally(slots, v); sink += int(Assess(p, tally.Count(set(3)))) },
		"Drawer":   func() { sink += Drawer(protocol.GroupID{}, 1, Day{3, 2}, own, domains, UpTo(p.N)) },
		"MayEnter": func() { sink += int(s.MayEnter(x, v, true)) },
		"Vacant":   func() { sink += s.Vacant(v, true).Count() },
		"KeyOf":    func() { sink += int(KeyOf(ids[0])) },
		"Lease":    func() { sink += int(l.State(&leases, Clocks{})) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

// One health decision: what one member makes of one segment, once its view of
// the group is made; some segments lack a shard.
func BenchmarkAssess(b *testing.B) {
	for _, p := range profiles[:3] {
		slots := make([]uint8, p.N)
		for i := range slots {
			slots[i] = uint8(i)
		}
		tally := NewTally(slots, View{Gone: set(1, 2), Silent: set(1, 2, 3)})
		for name, lacking := range map[string]Set{"whole": {}, "lacking": set(5)} {
			b.Run(p.String()+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					n += int(Assess(p, tally.Count(lacking)))
				}
				decisions(b, 1)
			})
		}
	}
}

// One member's pass over a group of 100 segments, its view made anew.
func BenchmarkGroupPass(b *testing.B) {
	p := profiles[1]
	slots := make([]uint8, p.N)
	for i := range slots {
		slots[i] = uint8(i)
	}
	v := View{Gone: set(1, 2), Silent: set(1, 2, 3)}
	b.ReportAllocs()
	for b.Loop() {
		tally := NewTally(slots, v)
		for range 100 {
			Assess(p, tally.Count(Set{}))
		}
	}
	decisions(b, 100)
}

func BenchmarkDrawer(b *testing.B) {
	own := keys(56)
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		Drawer(protocol.GroupID{}, i&31, Day{3, i & 3}, own, own, UpTo(56))
	}
	decisions(b, 1)
}

func BenchmarkMayEnter(b *testing.B) {
	s := NewSeats(profiles[0], make([]peer.ID, 56), nil)
	for i := range 56 {
		s.Held = append(s.Held, named(i, strconv.Itoa(i), 20, byte(i), 0, 1))
	}
	x := named(3, "x", 30, 0, 0, 1)
	b.ReportAllocs()
	for b.Loop() {
		s.MayEnter(x, View{Gone: set(3)}, false)
	}
	decisions(b, 1)
}

// decisions reports how many decisions a second are made.
func decisions(b *testing.B, each int) {
	b.ReportMetric(float64(b.N)*float64(each)/b.Elapsed().Seconds(), "decisions/s")
}
