package repair

import (
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// A group outlives a year in which it is replaced more than once, by what its
// members decide, each for itself, in these packages alone.
func TestYearOfDecisions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	const segments = 2
	w := newWorld(seed, protocol.Profile{K: 8, R: 20, N: 30}, 80, segments)
	lowest := w.p.N
	for range 365 * 4 {
		w.tick(0.1)
		for s := range segments {
			lowest = min(lowest, w.left(s, false))
			if lowest < w.p.K {
				t.Fatalf("segment %d is lost on %v", s, w.wall)
			}
		}
	}
	t.Logf("%d deaths, %d repairs, %d shards made (%d twice; %d died with their holders), lowest %d of %d",
		w.deaths, w.repairs, w.made, w.twice, w.died, lowest, w.p.N)
	switch {
	case lowest < w.p.R-8:
		t.Errorf("the lowest was %d: repair is too late", lowest)
	case w.repairs == 0 || 10*w.made > 11*w.died+10*segments*(w.p.N-w.p.R):
		t.Errorf("%d repairs made %d shards: not lazy", w.repairs, w.made)
	case w.twice*20 > w.made:
		t.Errorf("%d of %d shards made twice", w.twice, w.made)
	}
}

// settled fails where anything was repaired, or any member's table is not the
// owner's: nobody died.
func (w *world) settled(t *testing.T) {
	t.Helper()
	if w.made > 0 {
		t.Errorf("%d shards were made", w.made)
	}
	for _, n := range w.nodes {
		if n.seats != nil && (len(n.seats.Held) != w.p.N || len(n.seats.Former) > 0) {
			t.Fatalf("%s sees %d seats and %d former", n.id, len(n.seats.Held), len(n.seats.Former))
		}
	}
}

// A network in two parts for a day, however it is cut, replaces nobody, though
// nodes come and go besides; nor do parts of less than half in six days.
func TestPartition(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	for _, c := range []struct{ cut, days int }{{15, 1}, {20, 1}, {10, 1}, {13, 6}, {10, 6}, {16, 6}, {1, 6}} {
		w := newWorld(seed, protocol.Profile{K: 8, R: 20, N: 30}, 40, 1)
		w.uptime = 0.97
		for day := range 40 {
			w.parted = nil
			if 10 <= day && day < 10+c.days {
				// Nodes that are no members are on the side of the few.
				w.parted = func(a, b *simNode) bool { return (a.nr < c.cut || a.nr >= 30) != (b.nr < c.cut || b.nr >= 30) }
			}
			for range 4 {
				w.tick(0)
			}
		}
		w.settled(t)
	}
}

// Wall clocks that step by hours and by years, each for itself, move turns and
// nothing else.
func TestClockJumps(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	w := newWorld(seed, protocol.Profile{K: 8, R: 20, N: 30}, 40, 1)
	for range 200 {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		n.wrong = time.Duration(w.rng.Int64N(int64(40*365*24*time.Hour))) - 20*365*24*time.Hour
		w.tick(0)
	}
	w.settled(t)
}
