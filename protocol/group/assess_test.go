package group

import (
	"cmp"
	"slices"
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

func TestUrgentBelow(t *testing.T) {
	for p, want := range map[protocol.Profile]int{
		{K: 20, R: 36, N: 56}: 28, {K: 8, R: 20, N: 30}: 14, {K: 4, R: 9, N: 14}: 7, {K: 2, R: 4, N: 6}: 3,
		{K: 1, R: 2, N: 3}: 2, {K: 1, R: 1, N: 2}: 1, {K: 1, R: 1, N: 1}: 1,
	} {
		if got := UrgentBelow(p); got != want {
			t.Errorf("%v: %d", p, got)
		}
	}
}

func TestAssess(t *testing.T) {
	p := protocol.Profile{K: 4, R: 9, N: 14} // urgent below 7
	one := protocol.Profile{K: 1, R: 1, N: 1}
	for _, c := range []struct {
		p    protocol.Profile
		c    Count
		want Condition
	}{
		{p, Count{14, 0, 14}, Full},
		{p, Count{14, 0, 7}, Full},
		{p, Count{14, 0, 6}, Urgent},
		{p, Count{13, 0, 13}, Enough},
		{p, Count{10, 0, 10}, Enough},
		{p, Count{9, 0, 9}, Lazy},
		{p, Count{9, 0, 7}, Lazy},
		{p, Count{9, 0, 6}, Urgent},
		{p, Count{4, 0, 4}, Urgent},
		{p, Count{4, 0, 0}, Urgent},
		{p, Count{3, 0, 3}, Beyond},
		{p, Count{}, Beyond},
		{p, Count{0, 14, 14}, Unclear}, // a newcomer that has audited nobody
		{p, Count{9, 1, 10}, Unclear},
		{p, Count{10, 4, 14}, Enough},
		{p, Count{8, 1, 9}, Lazy}, // all that may be held is too little
		{p, Count{0, 3, 3}, Beyond},
		{one, Count{1, 0, 1}, Full},
		{one, Count{1, 0, 0}, Urgent},
		{one, Count{0, 1, 1}, Unclear},
		{one, Count{0, 0, 0}, Beyond},
	} {
		if got := Assess(c.p, c.c); got != c.want {
			t.Errorf("%v %+v: %s, not %s", c.p, c.c, got, c.want)
		}
	}
	for c := Full; c <= Beyond; c++ {
		if c.NeedsRepair() != (c == Lazy || c == Urgent) || c.String() == "" {
			t.Error(c)
		}
	}
}

func TestEndangered(t *testing.T) {
	p, small := protocol.Profile{K: 4, R: 9, N: 14}, protocol.Profile{K: 1, R: 2, N: 3}
	type work struct {
		p    protocol.Profile
		c    Count
		safe bool
	}
	order := []work{
		{p, Count{4, 0, 0}, true},
		{p, Count{5, 0, 5}, true},     // as near, and urgent
		{small, Count{2, 0, 2}, true}, // one holder may leave
		{p, Count{9, 0, 5}, true},
		{p, Count{9, 0, 9}, true},
		{p, Count{4, 0, 0}, false},
		{p, Count{9, 0, 9}, false},
	}
	if !slices.IsSortedFunc(order, func(a, b work) int {
		return cmp.Compare(Endangered(a.p, a.c, a.safe), Endangered(b.p, b.c, b.safe))
	}) {
		for _, w := range order {
			t.Errorf("%+v: %d", w, Endangered(w.p, w.c, w.safe))
		}
	}
}

func set(of ...int) (s Set) {
	for _, i := range of {
		s.Add(i)
	}
	return s
}

func TestTally(t *testing.T) {
	slots := []uint8{0, 1, 1, 2, 3} // two hold slot 1
	for _, c := range []struct {
		name    string
		v       View
		lacking Set
		want    Count
		held    Set
	}{
		{"all well", View{}, Set{}, Count{4, 0, 4}, set(0, 1, 2, 3)},
		{"one gone", View{Gone: set(0), Silent: set(0)}, Set{}, Count{3, 0, 3}, set(1, 2, 3)},
		{"one of two gone", View{Gone: set(1)}, Set{}, Count{4, 0, 4}, set(0, 1, 2, 3)},
		{"both gone", View{Gone: set(1, 2)}, Set{}, Count{3, 0, 3}, set(0, 2, 3)},
		{"silent", View{Silent: set(0, 1)}, Set{}, Count{4, 0, 3}, set(0, 1, 2, 3)},
		{"absent", View{Absent: set(0), Silent: set(0)}, Set{}, Count{4, 0, 3}, set(0, 1, 2, 3)},
		{"away beyond what counts", View{Weak: set(4), Silent: set(4)}, Set{}, Count{3, 0, 3}, set(0, 1, 2)},
		{"handed over", View{Released: set(3)}, Set{}, Count{3, 0, 3}, set(0, 1, 3)},
		{"one lacks", View{}, set(0), Count{3, 0, 3}, set(1, 2, 3)},
		{"one of two lacks", View{}, set(2), Count{4, 0, 4}, set(0, 1, 2, 3)},
		{"both lack", View{}, set(1, 2), Count{3, 0, 3}, set(0, 2, 3)},
		{"unaudited", View{Unaudited: set(0, 1)}, Set{}, Count{3, 1, 4}, set(0, 1, 2, 3)},
		{"unaudited and lacking", View{Unaudited: set(0, 1)}, set(0, 2), Count{2, 1, 3}, set(1, 2, 3)},
		{"no such seats", View{Gone: set(99, 255)}, set(200), Count{4, 0, 4}, set(0, 1, 2, 3)},
	} {
		tally := NewTally(slots, c.v)
		if got := tally.Count(c.lacking); got != c.want {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
		if got := tally.Slots(c.lacking); got != c.held {
			t.Errorf("%s: holds %v", c.name, got)
		}
	}
}
