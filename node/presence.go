package node

import (
	"errors"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// presence is what this node says of itself to its neighbours.
type presence struct {
	mu        sync.Mutex
	away      time.Time // until when it will not be heard; zero: it is here
	draining  bool      // it is leaving
	suspended time.Time // since when its disk is missing; zero: it is not
}

// setAway says until when this node will not be heard; zero: it is here.
func (p *presence) setAway(t time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = t
}

// setDraining says whether this node is leaving.
func (p *presence) setDraining(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = on
}

// ownBeat tells this node's own state, for one neighbour.
func (n *Node) ownBeat() protocol.Beat {
	now := n.now()
	missing := errors.Is(n.store.Usage().Err, storage.ErrSuspended)
	p := &n.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	b := protocol.Beat{Clock: max(0, now.Unix()), Draining: p.draining, Renewals: []protocol.GroupRenewal{}}
	if p.away.After(now) {
		b.AwayUntil = p.away.Unix()
	}
	switch {
	case !missing:
		p.suspended = time.Time{}
	case p.suspended.IsZero():
		p.suspended = now
	}
	if missing {
		b.SuspendedUntil = p.suspended.Add(n.cfg.Timing.Liveness.MaxSuspended).Unix()
	}
	return b
}
