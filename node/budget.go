package node

import (
	"math"
	"time"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/repair"
)

// repairBudget returns how many bytes a round of repair may move each way. That is
// at most half of what the contract leaves to repair this month, because the month
// counts both ways. Where the donor set a rate, it is also at most what the half of
// the rate that is kept for repair carries until the next round, but always enough
// for the largest segment, however long that takes. The line itself paces the bytes;
// what a round leaves undone the next looks at anew, the most endangered first.
func (n *Node) repairBudget(work []repair.Work) repair.Budget {
	var largest repair.Budget
	for i := range work {
		c := work[i].Cost
		largest = repair.Budget{Down: max(largest.Down, c.Down), Up: max(largest.Up, c.Up)}
	}
	t, every := n.deal.cfg.Terms, n.cfg.Timing.RepairEvery
	month := t.Left(n.deal.spent(n.now()), contract.Repair) / 2
	return repair.Budget{
		Down: min(month, max(largest.Down, carries(t.Down/2, every))),
		Up:   min(month, max(largest.Up, carries(t.Up/2, every))),
	}
}

// repairMost returns what the contract leaves to repair at best: a segment that
// costs more is left to other members.
func (n *Node) repairMost() repair.Budget {
	month := n.deal.cfg.Terms.Left(contract.Spent{}, contract.Repair) / 2
	return repair.Budget{Down: month, Up: month}
}

// repairsNow reports whether the contract lets this node repair now: outside its
// hours only what is in danger, in a pause nothing.
func (n *Node) repairsNow(urgent bool) bool {
	return n.deal.may(contract.Deed{Kind: contract.Fetch, Class: contract.Repair, Urgent: urgent}, n.now()) == nil
}

// carries returns how many bytes a rate in bytes a second moves in a time; 0 is
// no limit.
func carries(rate int64, d time.Duration) int64 {
	if bytes := float64(rate) * d.Seconds(); rate > 0 && bytes < math.MaxInt64/2 {
		return int64(bytes)
	}
	return math.MaxInt64 / 2
}
