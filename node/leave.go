package node

import (
	"time"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/protocol"
)

// Away says that the donor is away for a time from now, at most 30 days in
// 180, in place of an absence under way; 0 ends that. The node takes no new groups
// meanwhile, and others wait for it longer before they take it for gone. Away
// returns until when, the zero time for 0, and a *contract.TooLongAwayError
// where the time is longer than what is left.
func (n *Node) Away(long time.Duration) (until time.Time, err error) {
	now := n.now()
	err = n.deal.change(now, func(s contract.Stance) (contract.Stance, error) {
		next, err := s.Leave(now, long)
		if at := next.AwayUntil(now); at != 0 {
			until = unix(at)
		}
		return next, err
	})
	return until, err
}

// Pause lets the node rest, until Resume, and for 7 days at most: it gives and
// takes no shards. It answers beats and audits, so that nobody takes it for
// gone; but what it keeps counts for nobody until then. It returns until when.
func (n *Node) Pause() (until time.Time, err error) {
	now := n.now()
	until = now.Add(protocol.MaxSuspended).Truncate(time.Second)
	err = n.deal.change(now, func(s contract.Stance) (contract.Stance, error) {
		s.PausedUntil = until.Unix()
		return s, nil
	})
	return until, err
}

// Resume ends a pause.
func (n *Node) Resume() error {
	return n.deal.change(n.now(), func(s contract.Stance) (contract.Stance, error) {
		s.PausedUntil = 0
		return s, nil
	})
}
