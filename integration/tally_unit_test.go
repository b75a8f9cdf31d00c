package integration

import (
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// A group's traffic is counted from its first repair to its last; stragglers are
// no repair.
func TestUpkeepOfTally(t *testing.T) {
	p := protocol.Profile{K: 2, R: 4, N: 8}
	c := newTally()
	note := func(g protocol.GroupID, days, shards int) {
		at := time.Unix(0, 0).Add(time.Duration(days) * day)
		c.moved[g] = append(c.moved[g], moved{at: at.Add(-time.Hour)}) // what they are made of
		for range shards {
			c.made[g] = append(c.made[g], making{at: at, segment: protocol.SegmentID{1}})
			c.moved[g] = append(c.moved[g], moved{at: at, put: true})
		}
	}
	for _, v := range [][2]int{{30, 4}, {33, 1}, {40, 1}, {90, 3}, {92, 1}, {99, 1}} {
		note(protocol.GroupID{1}, v[0], v[1])
	}
	note(protocol.GroupID{2}, 50, 5) // once only
	u := c.upkeep(p)
	if u.repairs != 1 || u.months != 2 || u.shards != 8 {
		t.Errorf("%+v", u)
	}
	if lent, put := c.crossed(); lent != 7 || put != 16 {
		t.Errorf("%d lent, %d put", lent, put)
	}
}
