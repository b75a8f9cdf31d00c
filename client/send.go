package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Bounds of sending shards.
const (
	lanesPerHolder = 2 // requests under way to one holder: while one is synced the next is sent
	maxPause       = 30 * time.Second

	// mostStill is how long no byte may move to or from a holder while others
	// store their shards. A slow one moves some.
	mostStill = 8 * time.Second
)

// carrier brings segments to the members of one group, to each at its own
// pace. Lanes never wait for each other.
type carrier struct {
	c      *Client
	g      *ownGroup
	lanes  []*lane
	events chan<- event
	wg     sync.WaitGroup
	ctx    context.Context
	blamed bool // the put's own
}

// lane leads to the holder of one slot.
type lane struct {
	slot    int
	peer    peer.ID // "": the slot is vacant
	queue   chan *shipment
	mu      sync.Mutex
	strikes int       // failures in a row
	resume  time.Time // after a failure, shards before this count as missing at once
	refused error     // a no that will not change during this put
	last    error     // of the strikes
	busy    map[*shipment]delivery
}

// delivery is a shard on its way to its holder.
type delivery struct {
	begun  time.Time
	cancel context.CancelCauseFunc
}

// newCarrier starts the lanes of a group. queue is how many shipments can be
// under way at once. Every shipment that becomes safe, hopeless or settled is
// sent to events.
func newCarrier(ctx context.Context, c *Client, g *ownGroup, queue int, events chan<- event) *carrier {
	k := &carrier{c: c, g: g, events: events, ctx: ctx}
	for slot, h := range g.holders() {
		l := &lane{slot: slot, peer: h, queue: make(chan *shipment, queue), busy: make(map[*shipment]delivery)}
		k.lanes = append(k.lanes, l)
		if h == "" {
			l.refused = errVacant
			continue
		}
		for range lanesPerHolder {
			k.wg.Add(1)
			go func() {
				defer k.wg.Done()
				for s := range l.queue {
					k.deliver(l, s)
				}
			}()
		}
	}
	return k
}

var (
	errVacant  = errors.New("the slot is vacant")
	errOverdue = errors.New("the others have long stored theirs")
	errStopped = errors.New("no byte has moved for long, while others stored theirs")
	errPaused  = errors.New("it failed just now")
)

// stop ends the lanes once their queues are empty.
func (k *carrier) stop() {
	for _, l := range k.lanes {
		close(l.queue)
	}
	k.wg.Wait()
}

// ship sends a segment's shards on their ways. only, if not nil, names the
// slots to send to; the others count as they stand in it.
func (k *carrier) ship(s *segment, grant []byte, have []bool) *shipment {
	ctx, cancel := context.WithCancelCause(k.ctx)
	p := &shipment{segment: s, carrier: k, grant: grant, ctx: ctx, cancel: cancel, begun: k.c.now(), acked: make([]bool, len(k.lanes)), idle: make(chan struct{})}
	copy(p.acked, have)
	p.mu.Lock() // no acknowledgement can come before all are counted
	defer p.mu.Unlock()
	for i, l := range k.lanes {
		switch {
		case p.acked[i]:
			p.stored++
			p.had++
		case l.ready(p.begun):
			p.waiting++
			l.queue <- p // has room for every shipment
		}
	}
	p.settle()
	return p
}

// ready reports whether a shard sent now has a chance.
func (l *lane) ready(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.refused == nil && !now.Before(l.resume)
}

// deliver brings one shard to its holder.
func (k *carrier) deliver(l *lane, s *shipment) {
	if !l.ready(k.c.now()) {
		s.settled(l.slot, errPaused) // since it was shipped
		return
	}
	err := s.ctx.Err()
	if err == nil {
		ctx, cancel := context.WithCancelCause(s.ctx)
		l.begin(s, delivery{k.c.now(), cancel})
		err = k.put(ctx, l, s)
		l.end(s)
		cancel(nil)
	}
	if cause := context.Cause(s.ctx); err == nil || cause == nil || errors.Is(cause, errOverdue) || isRefusal(err) {
		l.note(k.c.now(), err)
	} // else it was called off, which is no fault of the holder
	if err != nil {
		k.c.log.Debug("shard not stored", "slot", l.slot, "segment", s.id, "err", err)
	}
	s.settled(l.slot, err)
}

func (l *lane) begin(s *shipment, d delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.busy[s] = d
}

func (l *lane) end(s *shipment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, s)
}

// cutStopped calls off deliveries of which no byte has moved for long, where
// half of the shards that make their segment safe have come through meanwhile:
// the line is well, and the holder has stopped. What it costs is a strike.
func (k *carrier) cutStopped(now time.Time) {
	for _, l := range k.lanes {
		moved := k.c.pulse.since(l.peer)
		for s, d := range l.underWay() {
			last, half := s.lastAck()
			if half && now.Sub(d.begun) >= mostStill && now.Sub(moved) >= mostStill && now.Sub(last) >= mostStill {
				d.cancel(errStopped)
			}
		}
	}
}

// underWay returns what is on its way to the holder just now.
func (l *lane) underWay() map[*shipment]delivery {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.busy)
}

// lastAck returns when a shard was stored last, and whether half of those are
// that make the segment safe.
func (s *shipment) lastAck() (at time.Time, half bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ackedAt, 2*s.stored >= group.SafeAt(s.carrier.g.profile)
}

// put sends one shard, telling the holder of the group first where it has
// forgotten it.
func (k *carrier) put(ctx context.Context, l *lane, s *shipment) error {
	r := &protocol.PutRequest{Record: k.g.state.Record, Slot: l.slot, Descriptor: s.bytes, Grant: s.grant}
	begun := k.c.now()
	err := k.c.call.Put(ctx, l.peer, r, s.shards[l.slot])
	if errors.Is(err, protocol.ErrUnknown) {
		if err = k.c.tell(ctx, k.g, l.peer, k.g.foundingFacts()); err == nil {
			err = k.c.call.Put(ctx, l.peer, r, s.shards[l.slot])
		}
	}
	if err == nil {
		k.c.peers.ok(l.peer, int64(len(s.shards[l.slot])), k.c.now().Sub(begun))
	} else if !isRefusal(err) && s.ctx.Err() == nil {
		k.c.peers.fail(l.peer, err)
	}
	return err
}

func isRefusal(err error) bool {
	var no *protocol.Error
	return errors.As(err, &no)
}

// note remembers how the last delivery went: a holder that fails is left in
// peace for a while, so that it cannot slow the others' segments.
func (l *lane) note(now time.Time, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.strikes = 0
		l.resume = time.Time{}
	case isRefusal(err) && !errors.Is(err, protocol.ErrUnavailable):
		l.refused = err
	default:
		l.last = err
		l.resume = now.Add(min(maxPause, time.Second<<min(l.strikes, 5)))
		l.strikes++
	}
}

// shipment is a segment on its way to a group's members.
type shipment struct {
	*segment
	index   int // within the put
	carrier *carrier
	grant   []byte
	ctx     context.Context
	cancel  context.CancelCauseFunc
	begun   time.Time
	moved   bool // the put's own: another shipment has the buffer

	mu      sync.Mutex
	acked   []bool        // by slot
	stored  int           // how many of them
	had     int           // of these, before it was shipped
	waiting int           // slots that are still tried
	idle    chan struct{} // closed once none is: lanes have let go of the buffer
	safeAt  time.Time
	ackedAt time.Time // the last one
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

// state returns what is known of the shipment, and how many shards are stored.
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

// overdue reports whether what is still under way has had its time: twice
// what the safe shards took, within bounds.
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

// refusals returns why lanes said no or failed, for the error of a segment that cannot
// become safe.
func (k *carrier) refusals() error {
	var errs []error
	for _, l := range k.lanes {
		l.mu.Lock()
		switch {
		case l.refused != nil && !errors.Is(l.refused, errVacant):
			errs = append(errs, fmt.Errorf("slot %d: %w", l.slot, l.refused))
		case l.refused == nil && l.strikes > 0:
			errs = append(errs, fmt.Errorf("slot %d: %w", l.slot, l.last))
		}
		l.mu.Unlock()
	}
	return errors.Join(errs...)
}

// blame keeps those who failed a group out of the next ones that this session
// forms: a node that takes part and then stores nothing would fail them all.
func (k *carrier) blame() {
	if k.blamed {
		return
	}
	k.blamed = true
	for _, l := range k.lanes {
		l.mu.Lock()
		refused, strikes := l.refused, l.strikes
		l.mu.Unlock()
		if l.peer != "" && (refused != nil || strikes > 0) {
			k.c.peers.missed(l.peer, refused != nil && !mayBeHonest(refused))
		}
	}
}
