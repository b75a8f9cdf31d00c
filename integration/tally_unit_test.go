package integration

import (
	"math"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"

	cairnnode "github.com/cairnstore/cairn/node"
)

// A group's traffic is that after its first repair, over the time to its last;
// stragglers are no repair.
func TestUpkeepOfTally(t *testing.T) {
	p := protocol.Profile{K: 2, R: 4, N: 8}
	at := func(days, shards int) (out []making) {
		for range shards {
			out = append(out, making{at: time.Unix(0, 0).Add(time.Duration(days) * day), segment: protocol.SegmentID{1}, bytes: 10})
		}
		return out
	}
	c := newTally()
	for _, v := range [][2]int{{30, 4}, {33, 1}, {40, 1}, {90, 3}, {92, 1}, {99, 1}} {
		c.made[protocol.GroupID{1}] = append(c.made[protocol.GroupID{1}], at(v[0], v[1])...)
	}
	c.made[protocol.GroupID{2}] = at(50, 5) // once only
	// 16 shards of 10 bytes were made, and as many lent for them.
	u := c.upkeep(cairnnode.Traffic{Given: 160, Lent: 16}, p)
	if u.repairs != 1 || u.months != 2 || math.Abs(u.shards-10) > 1e-9 {
		t.Errorf("%+v", u)
	}
}
