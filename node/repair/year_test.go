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
	case w.repairs == 0 || 10*w.made > 13*w.died:
		t.Errorf("%d repairs made %d shards: not lazy", w.repairs, w.made)
	case w.twice*20 > w.made:
		t.Errorf("%d of %d shards made twice", w.twice, w.made)
	}
}
