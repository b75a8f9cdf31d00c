package contract

import (
	"fmt"
	"math"

	"github.com/cairnstore/cairn/protocol"
)

// LeastRate is the least rate, in bytes a second, that a donor can set: each
// half of it must carry a shard half as fast again as the peer at the other end
// demands.
const LeastRate = 3 * protocol.MinRate

// Terms are what a donor sets. Zero fields set no limit.
type Terms struct {
	Up, Down int64 // bytes a second
	Month    int64 // bytes in a calendar month, both ways together
	Hours    Hours // when clients' bulk may cross the line
}

// Check returns an error for rates too low to be of use to any peer, and for numbers
// below 0.
func (t Terms) Check() error {
	for _, r := range []int64{t.Up, t.Down} {
		if r != 0 && r < LeastRate {
			return fmt.Errorf("%d bytes a second: less than %d is of no use", r, LeastRate)
		}
	}
	if t.Month < 0 {
		return fmt.Errorf("%d bytes a month", t.Month)
	}
	return t.Hours.check()
}

// Class says on whose behalf bytes cross the line.
type Class uint8

// The classes. Half of the rates and of the month is kept for Repair.
const (
	Clients Class = iota // owners and readers: Form, Put, Get
	Repair               // co-members: beats, audits, repair
)

// Classes is how many there are.
const Classes = 2

// String names the class.
func (c Class) String() string {
	if c == Repair {
		return "repair"
	}
	return "clients"
}

// Left returns how many bytes of a class may still cross the line in a month
// of which s is spent; math.MaxInt64 where there is no limit. Clients have at most
// half of the month. Repair has what clients leave of the whole.
func (t Terms) Left(s Spent, c Class) int64 {
	if t.Month == 0 {
		return math.MaxInt64
	}
	all := t.Month - s.Of(Clients) - s.Of(Repair)
	if c == Clients {
		all = min(all, t.Month/2-s.Of(Clients))
	}
	return max(0, all)
}

// What it costs to keep a byte for a month, in bytes each way: repair at a loss of
// 5 % of all nodes a month, and an audit of every shard once a month. The cost of
// repair is simulated, for 20/36/56 at an uptime of 0.9 (101 to 108 GB a TB); profiles
// with fewer shards are within a tenth of that. The cost of audits is measured, with
// shards of 2 MiB (integration, TestAuditTraffic).
const (
	repairCost = 0.108
	auditCost  = 0.001
)

// Over a month repair takes a tenth of the line at most: losses come in bursts, and
// the half of the line that is kept for repair must carry five times the mean, or
// segments wait while they are in danger.
const repairDuty = 0.1

const monthSeconds = 30 * 24 * 3600

// Bears returns how many bytes of shards a node can honestly keep within its
// terms; math.MaxInt64 where they set no limit. Keeping a shard is a promise to take
// part in its repair: what a node holds beyond what its line can repair, it holds in
// vain. A line of 10 Mbit/s is enough for 3 TB.
func (t Terms) Bears() int64 {
	most := math.Inf(1)
	for _, r := range []int64{t.Up, t.Down} {
		if r > 0 {
			carried := float64(r) * repairDuty * monthSeconds * t.Hours.Share()
			most = min(most, carried/(repairCost+auditCost))
		}
	}
	if t.Month > 0 {
		most = min(most, float64(t.Month)/2/(2*(repairCost+auditCost)))
	}
	if most >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(most)
}
