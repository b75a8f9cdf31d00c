package client

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol/group"
)

// shipment is a segment on its way to a group's members.
type shipment struct {
	*segment
	index   int // within the put
	carrier *carrier
	grant   []byte
	ctx     context.Context
	cancel  context.CancelCauseFunc
	begun   time.Time
	moved   bool // another shipment has the buffer; only the put's goroutine uses it

	mu      sync.Mutex
	acked   []bool        // by slot
	stored  int           // how many of them
	had     int           // of these, before it was shipped
	waiting int           // slots that are still tried
	idle    chan struct{} // closed once none is: lanes have let go of the buffer
	safeAt  time.Time
	ackedAt time.Time // of the last acknowledgement
	told    shipmentState
}

// event tells a put that a shipment reached a state.
type event struct {
	*shipment
	state shipmentState
}

// shipmentState only ever grows.
type shipmentState int

const (
	underWay shipmentState = iota
	safe                   // enough shards are durable
	hopeless               // it cannot become safe any more
	settled                // no slot is tried any more
)

// settled notes how a slot ended.
func (s *shipment) settled(slot int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting--
	if err == nil {
		s.acked[slot] = true
		s.stored++
		s.ackedAt = s.carrier.c.now()
	}
	s.settle()
}

// settle tells the put about a state that is new. s.mu is held; the channel
// has room for every state of every shipment.
func (s *shipment) settle() {
	need := group.SafeAt(s.carrier.g.profile)
	if s.told == underWay && s.stored >= need {
		s.safeAt = s.carrier.c.now()
		s.tell(safe)
	}
	if s.told == underWay && s.stored+s.waiting < need {
		s.tell(hopeless)
	}
	if s.waiting == 0 && s.told != settled {
		close(s.idle)
		s.tell(settled)
	}
}

func (s *shipment) tell(state shipmentState) {
	s.told = state
	s.carrier.events <- event{s, state}
}

// state returns whether the segment is safe, whether no slot is tried any more, and
// how many shards are stored.
func (s *shipment) state() (isSafe, done bool, stored int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.safeAt.IsZero(), s.waiting == 0, s.stored
}

// acks returns which slots hold their shard by now.
func (s *shipment) acks() []bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.acked)
}

// lastAck returns when a shard was stored last, and whether half of the shards that
// make the segment safe are stored.
func (s *shipment) lastAck() (at time.Time, half bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ackedAt, 2*s.stored >= group.SafeAt(s.carrier.g.profile)
}

// overdue reports whether the shards still under way have had their time: twice
// what it took to make the segment safe, within bounds.
func (s *shipment) overdue(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.safeAt.IsZero() || s.waiting == 0 {
		return false
	}
	return now.Sub(s.safeAt) > min(max(2*s.safeAt.Sub(s.begun), leastPatience), mostPatience)
}

const (
	leastPatience = time.Second
	mostPatience  = 10 * time.Second
)
