package node

import (
	"math"
	"time"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/repair"
)

// repairBudget returns what a round of repair may move, of what the donor's
// contract leaves to it now: of the month, half each way, for the month counts
// both; of a rate, the half that is kept for repair, until the next round, but
// the largest segment at least, which takes as long as it takes. The line itself
// paces the bytes; what ends a round early is looked at anew by the next, the most
// endangered first.
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

// repairMost returns what the contract leaves to repair at best: what costs more
// is another's to repair.
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
