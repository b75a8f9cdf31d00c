package repair

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestPlan(t *testing.T) {
	w := func(segment, score int, down, up int64) Work {
		return Work{Segment: segment, Score: score, Cost: Budget{down, up}}
	}
	most := Budget{100, 100}
	for _, c := range []struct {
		name string
		work []Work
		left Budget
		want []int
	}{
		{"nothing", nil, most, nil},
		{"in order", []Work{w(0, 9, 1, 1), w(1, 2, 1, 1), w(2, 5, 1, 1)}, most, []int{1, 2, 0}},
		{"the budget exactly", []Work{w(0, 1, 50, 50), w(1, 2, 50, 50)}, most, []int{0, 1}},
		{"a byte too little down", []Work{w(0, 1, 50, 50), w(1, 2, 50, 50)}, Budget{99, 100}, []int{0}},
		{"a byte too little up", []Work{w(0, 1, 50, 50), w(1, 2, 50, 50)}, Budget{100, 99}, []int{0}},
		{"no overtaking", []Work{w(0, 1, 90, 1), w(1, 2, 1, 1)}, Budget{50, 50}, nil},
		{"too large for ever", []Work{w(0, 1, 101, 1), w(1, 2, 1, 1), w(2, 3, 1, 200), w(3, 3, 1, 1)}, Budget{50, 50}, []int{1, 3}},
		{"spent", []Work{w(0, 1, 1, 1)}, Budget{}, nil},
		{"overdrawn", []Work{w(0, 1, 1, 1)}, Budget{-5, 100}, nil},
	} {
		batch, cost := Plan(c.work, c.left, most)
		var got []int
		var sum Budget
		for _, b := range batch {
			got = append(got, b.Segment)
			sum = sum.Plus(b.Cost)
		}
		if !slices.Equal(got, c.want) || cost != sum {
			t.Errorf("%s: %v for %+v", c.name, got, cost)
		}
	}
}

// Whatever the work: never more than the budget, nothing lost, nothing twice,
// and none before a more endangered one.
func TestPlanKeepsTheBudget(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 2000 {
		work := make([]Work, rng.IntN(30))
		for i := range work {
			work[i] = Work{rng.IntN(3), i, rng.IntN(5), Budget{rng.Int64N(50), rng.Int64N(50)}}
		}
		before := slices.Clone(work)
		left := Budget{rng.Int64N(300), rng.Int64N(300)}
		batch, cost := Plan(work, left, Budget{45, 45})
		if !cost.Fits(left) {
			t.Fatalf("%+v of %+v", cost, left)
		}
		if !slices.IsSortedFunc(batch, func(a, b Work) int { return a.Score - b.Score }) {
			t.Fatal("not the most endangered first")
		}
		bySegment := func(a, b Work) int { return a.Segment - b.Segment }
		if slices.SortFunc(work, bySegment); !slices.Equal(work, before) {
			t.Fatal("work was lost or made")
		}
	}
}

func TestCost(t *testing.T) {
	if got := Cost(4, 5, 100, true); got != (Budget{300, 500}) {
		t.Error(got)
	}
	if got := Cost(4, 5, 100, false); got != (Budget{400, 500}) {
		t.Error(got)
	}
}
