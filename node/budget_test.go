package node

import (
	"math"
	"testing"
	"time"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/repair"
)

// What a round of repair may move follows from the donor's contract.
func TestRepairBudget(t *testing.T) {
	const shard = 4 << 20
	work := []repair.Work{{Score: 9, Cost: repair.Budget{Down: 7 * shard, Up: 2 * shard}}, {Score: 1, Cost: repair.Budget{Down: shard, Up: 9 * shard}}}
	quarter := int64(15 * time.Minute / time.Second)
	for _, c := range []struct {
		name  string
		terms contract.Terms
		spent int64
		want  repair.Budget
	}{
		{"no limit", contract.Terms{}, 1 << 40, repair.Budget{Down: math.MaxInt64 / 2, Up: math.MaxInt64 / 2}},
		{"half of the rate, till the next round", contract.Terms{Up: 1e6, Down: 8e6}, 0, repair.Budget{Down: 4e6 * quarter, Up: 5e5 * quarter}},
		{"one segment at least", contract.Terms{Up: contract.LeastRate, Down: contract.LeastRate}, 0, repair.Budget{Down: 7 * shard, Up: 9 * shard}},
		{"a month, both ways", contract.Terms{Month: 1e9}, 4e8, repair.Budget{Down: 3e8, Up: 3e8}},
		{"little is left", contract.Terms{Month: 1e9, Up: contract.LeastRate}, 1e9 - 2*shard, repair.Budget{Down: shard, Up: shard}},
		{"nothing is left", contract.Terms{Month: 1e9}, 2e9, repair.Budget{}},
	} {
		w := newWorld(t, 107, func(cfg *Config) { cfg.Contract.Terms = c.terms })
		w.node.deal.line.Count(contract.Repair, 0, c.spent)
		if got := w.node.repairBudget(work); got != c.want {
			t.Errorf("%s: %+v, not %+v", c.name, got, c.want)
		}
	}
}

// A round repairs what is most endangered, and no more than the month allows.
func TestRepairKeepsTheMonth(t *testing.T) {
	w := newWorld(t, 108, func(cfg *Config) { cfg.Contract.Month = 100 * mb })
	one := repair.Budget{Down: 8 * mb, Up: 4 * mb}
	work := []repair.Work{{Segment: 0, Score: 5, Cost: one}, {Segment: 1, Score: 1, Cost: one}, {Segment: 2, Score: 3, Cost: one}, {Segment: 3, Score: 0, Cost: repair.Budget{Down: 60 * mb}}}
	w.node.deal.line.Count(contract.Clients, 66*mb, 0)
	batch, cost := repair.Plan(work, w.node.repairBudget(work), w.node.repairMost())
	if len(batch) != 2 || batch[0].Segment != 1 || batch[1].Segment != 2 || cost.Down+cost.Up > 34*mb {
		t.Errorf("%+v for %+v", batch, cost)
	}
}

// Outside its hours a node repairs what is in danger, in a pause nothing.
func TestRepairHours(t *testing.T) {
	hours, err := contract.ParseHours("22-07")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 109, func(cfg *Config) { cfg.Contract.Hours = hours })
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at           time.Time
		lazy, urgent bool
	}{{noon, false, true}, {noon.Add(11 * time.Hour), true, true}} {
		w.clock.t = c.at
		if w.node.repairsNow(false) != c.lazy || w.node.repairsNow(true) != c.urgent {
			t.Errorf("at %s: lazy %v, urgent %v", c.at, !c.lazy, !c.urgent)
		}
	}
	if _, err := w.node.Pause(); err != nil || w.node.repairsNow(true) {
		t.Errorf("it repairs in a pause, %v", err)
	}
}
