package repair

import (
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

var profile = protocol.Profile{K: 4, R: 9, N: 14}

func members(n int) *Group {
	g := &Group{ID: protocol.GroupID{5}, Profile: profile, Living: group.UpTo(n)}
	for i := range n {
		g.Keys = append(g.Keys, group.KeyOf(peer.ID(fmt.Sprintf("member %d", i))))
	}
	return g
}

func TestDecide(t *testing.T) {
	lazy := Segment{ID: protocol.SegmentID{1}, Count: group.Count{Holding: 9, Answering: 9}, Takers: 5}
	mine := members(14)
	mine.Self = mine.Repairer(lazy.ID)
	with := func(change func(*Segment)) Segment { s := lazy; change(&s); return s }
	for _, c := range []struct {
		name   string
		change func(*Group)
		s      Segment
		want   Answer
	}{
		{"lazy", func(*Group) {}, lazy, Mine},
		{"another's", func(g *Group) { g.Self = (g.Self + 1) % 14 }, lazy, Theirs},
		{"nobody's", func(g *Group) { g.Self, g.Living = -1, group.Set{} }, lazy, Theirs},
		{"six hours later", func(g *Group) { g.Day.Step++ }, lazy, Theirs},
		{"cut off", func(g *Group) { g.CutOff = true }, lazy, Theirs},
		{"frozen", func(g *Group) { g.Frozen = true }, lazy, Resting},
		{"thin", func(*Group) {}, with(func(s *Segment) { s.Takers = 0 }), Thin},
		{"inconsistent", func(*Group) {}, with(func(s *Segment) { s.Inconsistent = true }), Inconsistent},
		{"enough", func(*Group) {}, with(func(s *Segment) { s.Count = group.Count{Holding: 10, Answering: 7} }), Nothing},
		{"urgent", func(*Group) {}, with(func(s *Segment) { s.Count = group.Count{Holding: 10, Answering: 6} }), Mine},
		{"full", func(*Group) {}, with(func(s *Segment) { s.Count = group.Count{Holding: 14, Answering: 14} }), Nothing},
		{"full, and urgent", func(*Group) {}, with(func(s *Segment) { s.Count = group.Count{Holding: 14, Answering: 6} }), Mine},
		{"unclear", func(*Group) {}, with(func(s *Segment) { s.Count = group.Count{Holding: 2, Unaudited: 12, Answering: 14} }), Unclear},
		{"beyond", func(*Group) {}, with(func(s *Segment) { s.Count = group.Count{Holding: 3, Answering: 3} }), Beyond},
		{"beyond, and frozen", func(g *Group) { g.Frozen = true }, with(func(s *Segment) { s.Count = group.Count{} }), Beyond},
	} {
		g := *mine
		c.change(&g)
		if got := g.Decide(&c.s); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

// One member has the turn at a time, another after six hours, and each equally often.
func TestRepairer(t *testing.T) {
	g := members(14)
	var work [14]int
	const segments = 2000
	for i := range segments {
		s := protocol.SegmentID{byte(i), byte(i >> 8)}
		var seen group.Set
		for step := range 4 {
			g.Day.Step = step
			r := g.Repairer(s)
			if seen.Has(r) {
				t.Fatal("one member has two turns a day")
			}
			seen.Add(r)
			work[r]++
			less := *g
			less.Living.Remove(r)
			if less.Repairer(s) == r {
				t.Fatal("a dead member's turn is not passed on")
			}
		}
	}
	for i, n := range work {
		if n < segments*4/14*3/4 || n > segments*4/14*5/4 {
			t.Errorf("member %d repairs %d of %d", i, n, segments*4)
		}
	}
	g.Living = group.Set{}
	if g.Repairer(protocol.SegmentID{}) != -1 {
		t.Error("nobody repairs")
	}
}

// A member whose turn it is by its own view is plausible to a member whose view of who
// lives differs in up to two others; a member far back in the order is not.
func TestPlausible(t *testing.T) {
	refused := 0
	for i := range 200 {
		g := members(14)
		g.Day.Step = i % 4
		s := protocol.SegmentID{byte(i)}
		for range 2 {
			g.Living.Remove((i*7 + 3) % 14)
			other := *g
			other.Living = group.UpTo(14)
			if !other.Plausible(s, g.Repairer(s)) || !g.Plausible(s, other.Repairer(s)) {
				t.Fatal("a member's turn is not borne")
			}
			g.Living.Remove((i*5 + 1) % 14)
		}
		for m := range 14 {
			if !g.Plausible(s, m) {
				refused++
			}
		}
	}
	if refused < 200*14/3 {
		t.Errorf("%d of %d are refused", refused, 200*14)
	}
}

func TestMissing(t *testing.T) {
	p := protocol.Profile{K: 1, R: 2, N: 4}
	slots := []uint8{0, 1, 2}
	v := group.View{Gone: one(0), Absent: one(0).Or(one(1))}
	tally := group.NewTally(slots, v)
	if got := Missing(p, &tally, v, one(2), group.Lazy); got != one(0).Or(one(2)).Or(one(3)) {
		t.Errorf("lazy: %v", got)
	}
	if got := Missing(p, &tally, v, group.Set{}, group.Urgent); got != one(0).Or(one(1)).Or(one(3)) {
		t.Errorf("urgent: %v", got)
	}
}

func one(i int) (s group.Set) {
	s.Add(i)
	return s
}
