package node

import (
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// entering are the requests to enter that this node still has to make: in which
// group, to which peer, and when.
type entering struct {
	mu    sync.Mutex
	m     map[protocol.GroupID]map[peer.ID]time.Duration // by neighbours' watch
	begun map[protocol.GroupID]time.Duration             // when requests to all were planned
	no    map[protocol.GroupID]map[peer.ID]struct{}      // members that refused because they see another in the slot
	next  map[protocol.GroupID]time.Duration             // when members are asked who else there is
	wake  chan struct{}
}

func newEntering() *entering {
	return &entering{m: make(map[protocol.GroupID]map[peer.ID]time.Duration), begun: make(map[protocol.GroupID]time.Duration), no: make(map[protocol.GroupID]map[peer.ID]struct{}), next: make(map[protocol.GroupID]time.Duration), wake: make(chan struct{}, 1)}
}

// add plans requests at a time; those that are planned earlier stay.
func (e *entering) add(g protocol.GroupID, to []peer.ID, at time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.m[g] == nil {
		e.m[g] = make(map[peer.ID]time.Duration)
	}
	for _, id := range to {
		if was, ok := e.m[g][id]; !ok || at < was {
			e.m[g][id] = at
		}
	}
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// due takes out the requests that are due.
func (e *entering) due(now time.Duration) map[protocol.GroupID][]peer.ID {
	e.mu.Lock()
	defer e.mu.Unlock()
	out := make(map[protocol.GroupID][]peer.ID)
	for g, list := range e.m {
		for id, at := range list {
			if at <= now {
				out[g] = append(out[g], id)
				delete(list, id)
			}
		}
		if len(list) == 0 {
			delete(e.m, g)
		}
	}
	return out
}

// drop forgets a group that is no longer held.
func (e *entering) drop(g protocol.GroupID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.m, g)
	delete(e.begun, g)
	delete(e.next, g)
	delete(e.no, g)
}

// answered notes what a member said to a request to enter.
func (e *entering) answered(g protocol.GroupID, by peer.ID, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err == nil:
		delete(e.no[g], by)
	case errors.Is(err, protocol.ErrDisputed):
		if e.no[g] == nil {
			e.no[g] = make(map[peer.ID]struct{})
		}
		e.no[g][by] = struct{}{}
	}
}

// refused reports whether some member of a group refused its last request.
func (e *entering) refused(g protocol.GroupID) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.no[g]) > 0
}

// refusals counts those of some members that refused the last request because
// they see another in the slot.
func (e *entering) refusals(g protocol.GroupID, of []peer.ID) (n int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, id := range of {
		if _, no := e.no[g][id]; no {
			n++
		}
	}
	return n
}

// meetAt plans that a group's members are asked at a time who else there is.
func (e *entering) meetAt(g protocol.GroupID, at time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.begun[g], e.next[g] = at, at
}

// meets reports whether it is time to ask a group's members who else there is.
func (e *entering) meets(g protocol.GroupID, now, every time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, began := e.begun[g]; !began && e.next[g] == 0 {
		e.next[g] = now + every // it has nothing to prove yet, or has just started
		return false
	}
	if now < e.next[g] {
		return false
	}
	e.next[g] = now + every
	return true
}

// begin reports whether a group's requests were not planned for a while.
func (e *entering) begin(g protocol.GroupID, now, again time.Duration) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if at, ok := e.begun[g]; ok && now-at < again {
		return false
	}
	e.begun[g] = now
	return true
}
