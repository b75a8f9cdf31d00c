package node

import (
	"math"

	"github.com/cairnstore/cairn/node/contract"
)

// ContractStatus tells of the donor's terms and of what was asked for by a
// command. Sizes are in bytes, times RFC 3339 in UTC and empty where there is
// none; a limit of 0 is none.
type ContractStatus struct {
	LimitUp     int64       `json:"limitUp"`   // bytes a second
	LimitDown   int64       `json:"limitDown"` // bytes a second
	Month       int64       `json:"month"`     // bytes in a calendar month, both ways
	Hours       string      `json:"hours"`     // 22:00-07:00, by the donor's clock; empty: always
	Bears       int64       `json:"bears"`     // bytes of shards that the limits allow; 0: no limit
	OpensAt     string      `json:"opensAt"`   // outside the hours: when they next begin
	AwayUntil   string      `json:"awayUntil"`
	PausedUntil string      `json:"pausedUntil"`
	Draining    bool        `json:"draining"`
	Spent       SpentStatus `json:"spent"`
}

// SpentStatus tells what crossed the line in the calendar month.
type SpentStatus struct {
	Month       string `json:"month"` // 2026-11, in the donor's zone
	Up          int64  `json:"up"`
	Down        int64  `json:"down"`
	Clients     int64  `json:"clients"`     // both ways, for owners and readers
	Repair      int64  `json:"repair"`      // both ways, for audits and repair
	ClientsLeft int64  `json:"clientsLeft"` // -1: no limit
	RepairLeft  int64  `json:"repairLeft"`  // -1: no limit
}

// contractStatus tells how the contract stands.
func (n *Node) contractStatus() ContractStatus {
	now, t := n.now(), n.deal.cfg.Terms
	s := n.deal.stance()
	c := ContractStatus{
		LimitUp: t.Up, LimitDown: t.Down, Month: t.Month, Hours: t.Hours.String(),
		AwayUntil: timeText(s.AwayUntil(now)), PausedUntil: timeText(s.Paused(now)), Draining: s.Drain != nil,
		Spent: n.spentStatus(),
	}
	if b := t.Bears(); b != math.MaxInt64 {
		c.Bears = b
	}
	if !t.Hours.Open(now) {
		c.OpensAt = timeText(t.Hours.Opens(now).Unix())
	}
	return c
}

func (n *Node) spentStatus() SpentStatus {
	t := n.deal.cfg.Terms
	s := n.deal.spent(n.now())
	left := func(c contract.Class) int64 {
		if b := t.Left(s, c); b != math.MaxInt64 {
			return b
		}
		return -1
	}
	return SpentStatus{
		Month:   s.Month.String(),
		Up:      s.Up[contract.Clients] + s.Up[contract.Repair],
		Down:    s.Down[contract.Clients] + s.Down[contract.Repair],
		Clients: s.Of(contract.Clients), Repair: s.Of(contract.Repair),
		ClientsLeft: left(contract.Clients), RepairLeft: left(contract.Repair),
	}
}
