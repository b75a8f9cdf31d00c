package node

import (
	"errors"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// presence is what this node notices of itself, to tell its neighbours.
type presence struct {
	mu        sync.Mutex
	suspended time.Time // since when its disk is missing; zero: it is not
}

// missing returns until when neighbours excuse that the disk is missing; the zero
// time: it is there.
func (n *Node) missing(now time.Time) time.Time {
	gone := errors.Is(n.store.Usage().Err, storage.ErrSuspended)
	p := &n.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case !gone:
		p.suspended = time.Time{}
		return time.Time{}
	case p.suspended.IsZero():
		p.suspended = now
	}
	return p.suspended.Add(n.cfg.Timing.Liveness.MaxSuspended)
}

// ownBeat tells this node's own state. A node that its donor has paused gives no
// shards, as if the disk were missing.
func (n *Node) ownBeat() protocol.Beat {
	now, s := n.now(), n.deal.stance()
	b := protocol.Beat{
		Clock: max(0, now.Unix()), AwayUntil: s.AwayUntil(now), SuspendedUntil: s.Paused(now),
		Draining: s.Drain != nil, Renewals: []protocol.GroupRenewal{},
	}
	if until := n.missing(now); !until.IsZero() {
		b.SuspendedUntil = max(b.SuspendedUntil, until.Unix())
	}
	return b
}
