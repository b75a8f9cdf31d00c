package audit

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

var defaults = DefaultSettings()

func keys(n int) []group.Key {
	out := make([]group.Key, n)
	for i := range out {
		out[i] = group.KeyOf(peer.ID(fmt.Sprintf("member %d", i)))
	}
	return out
}

func TestAt(t *testing.T) {
	const d = 24 * time.Hour
	for _, c := range []struct {
		phase time.Duration
		wall  int64 // days since 1970
		want  Moment
	}{
		{0, 0, Moment{0, 0}},
		{0, 29, Moment{0, 29 * d}},
		{0, 30, Moment{1, 0}},
		{29 * d, 0, Moment{0, 29 * d}},
		{29 * d, 1, Moment{1, 0}},
		{0, -1, Moment{-1, 29 * d}},
		{0, -30, Moment{-1, 0}},
		{0, 30 * 100_000, Moment{100_000, 0}}, // a clock that is wrong by millennia
	} {
		if got := At(&defaults, c.phase, time.Unix(c.wall*86400, 0)); got != c.want {
			t.Errorf("day %d, phase %v: %+v", c.wall, c.phase, got)
		}
	}
}

func TestPhase(t *testing.T) {
	var sum time.Duration
	const n = 1000
	for i := range n {
		p := Phase(&defaults, protocol.GroupID{byte(i), byte(i >> 8)})
		if p < 0 || p >= defaults.Cycle {
			t.Fatal(p)
		}
		sum += p / n
	}
	if off := sum - defaults.Cycle/2; off.Abs() > defaults.Cycle/20 {
		t.Errorf("groups begin at %v on average", sum)
	}
}

// Every shard is audited once a cycle, by others than its holder, evenly over
// members and time.
func TestScheduleIsEven(t *testing.T) {
	const members, segments = 14, 400
	all, living := keys(members), group.UpTo(members)
	var work, tenths [members]int
	for s := range segments {
		lot := SegmentLot(protocol.GroupID{9}, protocol.SegmentID{byte(s), byte(s >> 8)}, 3)
		for slot := range members {
			shard := lot.Of(slot)
			due := Due(&defaults, shard)
			tenths[due*10/defaults.Cycle]++
			auditor := Auditor(shard, all, living, slot)
			work[auditor]++
			if auditor == slot {
				t.Fatal("a holder audits itself")
			}
			without := living
			without.Remove(auditor)
			if next := Auditor(shard, all, without, slot); next < 0 || next == auditor || next == slot {
				t.Fatalf("the next auditor is %d", next)
			}
		}
	}
	for i, n := range work {
		if math.Abs(float64(n)-segments) > 6*math.Sqrt(segments) {
			t.Errorf("member %d audits %d of %d", i, n, segments*members)
		}
	}
	for i, n := range tenths {
		if mean := float64(segments*members) / 9; i < 9 && math.Abs(float64(n)-mean) > 6*math.Sqrt(mean) || i >= 9 && n > 0 {
			t.Errorf("tenth %d of the cycle has %d audits", i, n)
		}
	}
	if Auditor(0, all[:1], group.UpTo(1), 0) != -1 {
		t.Error("somebody audits who is alone")
	}
}

func TestNextSample(t *testing.T) {
	const d = 24 * time.Hour
	for _, c := range []struct {
		neighbours int
		u          float64
		want       time.Duration
	}{
		{3, 0.5, d}, {999, 0, d * 9 / 10}, {1000, 0.5, 30 * d}, {5000, 1, 33 * d},
	} {
		if got := NextSample(&defaults, time.Hour, c.neighbours, c.u) - time.Hour; (got - c.want).Abs() > time.Millisecond {
			t.Errorf("%d neighbours: %v", c.neighbours, got)
		}
	}
}

// A holder owes what a member may ask of it, whichever of the others each of the
// two sees living; and each shard only once.
func TestAllow(t *testing.T) {
	const members, holder = 14, 2
	all, living := keys(members), group.UpTo(members)
	for i := range 500 {
		shard := group.Lot(0).Of(i)
		mine := living // as the asker sees it: up to seven dead that the holder sees living
		for range i % Places {
			mine.Remove(Auditor(shard, all, mine, holder))
		}
		asker := Auditor(shard, all, mine, holder)
		a, ok := Asked(0).Allow(shard, all, living, holder, asker)
		if !ok {
			t.Fatalf("%d: the auditor is refused", i)
		}
		if _, again := a.Allow(shard, all, living, holder, asker); again {
			t.Fatal("the same shard twice")
		}
		if _, other := a.Allow(shard, all, mine, holder, Auditor(shard, all, living, holder)); !other && i%Places > 0 {
			t.Fatal("one auditor uses up another's allowance")
		}
		last := asker
		for m := range members {
			if m != holder && shard.Rank(all[m]) > shard.Rank(all[last]) {
				last = m
			}
		}
		if _, ok := Asked(0).Allow(shard, all, living, holder, last); ok {
			t.Fatal("the last of thirteen is owed an audit")
		}
		var alone group.Set
		alone.Add(last)
		if _, ok := Asked(0).Allow(shard, all, alone, holder, last); !ok {
			t.Fatal("the last one living is owed none")
		}
		if _, ok := Asked(0).Allow(shard, all, living, holder, holder); ok {
			t.Fatal("a holder owes itself")
		}
		if _, ok := Asked(0).Allow(shard, all, living, holder, -1); ok {
			t.Fatal("a stranger is owed")
		}
	}
}

func TestExtra(t *testing.T) {
	const d = 24 * time.Hour
	e, ok := Extra{}.AllowSample(&defaults, 0)
	if !ok {
		t.Fatal("no first sample")
	}
	if _, ok := e.AllowSample(&defaults, d*8/10-1); ok {
		t.Error("two samples a day")
	}
	if _, ok := e.AllowSample(&defaults, d*8/10); !ok {
		t.Error("a sample early by a fifth of a day is refused")
	}
}

func TestEntry(t *testing.T) {
	const d = 24 * time.Hour
	var e Entry
	for i, c := range []struct {
		at   time.Duration
		n    int
		want bool
	}{
		{d, 10, true}, {d, 7, false}, {d, 6, true}, {2 * d, 1, false}, {36*d - 1, 1, false}, {36 * d, 16, true}, {37 * d, 1, false}, {99 * d, 0, false}, {99 * d, 17, false},
	} {
		var ok bool
		if e, ok = e.Allow(&defaults, c.at, c.n); ok != c.want {
			t.Errorf("%d: %d shards at %v: %v", i, c.n, c.at, ok)
		}
	}
}
