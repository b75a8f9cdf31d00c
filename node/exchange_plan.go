package node

import (
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// exchanger plans when the facts of which group are compared.
type exchanger struct {
	mu    sync.Mutex
	plans map[protocol.GroupID]*exchangePlan
	touch time.Time // when some neighbour had answered, as far as was looked

	late *rests[peer.ID] // members that dawdled
}

// exchangePlan is one group's.
type exchangePlan struct {
	next  time.Time
	stale bool // this node was away and has not asked all members yet
}

func newExchanger() *exchanger {
	return &exchanger{plans: make(map[protocol.GroupID]*exchangePlan), late: newRests[peer.ID]()}
}

// dawdle notes that a member took too long over a comparison; dawdles reports
// whether one did within a while.
func (e *exchanger) dawdle(id peer.ID, now, while time.Duration) { e.late.until(id, now+while, now) }

func (e *exchanger) dawdles(id peer.ID, now time.Duration) bool { return e.late.resting(id, now) }

// plan makes the plans those of the groups held, and returns the groups that
// are due, the longest due first. A new one's turn comes at random within
// every.
func (e *exchanger) plan(held []protocol.GroupID, now time.Time, every time.Duration, rand *lockedRand) []protocol.GroupID {
	e.mu.Lock()
	defer e.mu.Unlock()
	var due []protocol.GroupID
	for _, id := range held {
		p := e.plans[id]
		if p == nil {
			p = &exchangePlan{next: now.Add(rand.upTo(every))}
			e.plans[id] = p
		}
		if p.next.Sub(now) > 2*every {
			p.next = now.Add(rand.upTo(every)) // the clock was set back
		}
		if !now.Before(p.next) {
			due = append(due, id)
		}
	}
	if len(e.plans) > len(held) { // some are no longer held
		still := make(map[protocol.GroupID]*exchangePlan, len(held))
		for _, id := range held {
			still[id] = e.plans[id]
		}
		e.plans = still
	}
	slices.SortFunc(due, func(a, b protocol.GroupID) int { return e.plans[a].next.Compare(e.plans[b].next) })
	return due
}

// cameBack plans that all groups are compared with all their members: this node
// does not know what those did meanwhile.
func (e *exchanger) cameBack(held []protocol.GroupID, now time.Time, within time.Duration, rand *lockedRand) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range held {
		e.plans[id] = &exchangePlan{next: now.Add(rand.upTo(within)), stale: true}
	}
}

// wasAway notes when a neighbour last answered, and reports whether none had for
// long before that.
func (e *exchanger) wasAway(touch time.Time, long time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	away := touch.Sub(e.touch) >= long
	e.touch = touch // earlier than before, where the clock was set back
	return away
}

// isStale reports whether this node may lack what others know of a group.
func (e *exchanger) isStale(id protocol.GroupID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.plans[id]
	return p != nil && p.stale
}

// done plans a group's next turn. all says that all members were asked, and
// answered how many of them did.
func (e *exchanger) done(id protocol.GroupID, all bool, answered int, now time.Time, every time.Duration, rand *lockedRand) {
	e.mu.Lock()
	defer e.mu.Unlock()
	p := e.plans[id]
	if p == nil {
		return
	}
	if all && answered > 0 {
		p.stale = false
	}
	p.next = now.Add(rand.jitter(every))
	if p.stale {
		p.next = now.Add(rand.jitter(every / retryPart))
	}
}

// beginExchange begins to plan, after the survey.
func (n *Node) beginExchange() {
	now := n.now()
	before := n.neighbours.SetTouch(now)
	n.exchange.wasAway(now, 0)
	if now.Sub(before) >= n.cfg.Timing.Liveness.AbsentAfter {
		n.exchange.cameBack(n.quota.IDs(), now, n.cfg.Timing.ExchangeEvery/catchUpPart, &n.rand)
	}
}
