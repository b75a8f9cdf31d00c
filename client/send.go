package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of sending shards.
const (
	lanesPerHolder = 2 // requests under way to one holder: while one is synced the next is sent
	maxPause       = 30 * time.Second

	// mostStill is how long a holder may move no byte while others store their
	// shards. A slow one moves some.
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
	blamed bool // blame was called; only the put's goroutine uses it
}

// lane leads to the holder of one slot.
type lane struct {
	slot    int
	peer    peer.ID // "": the slot is vacant
	queue   chan *shipment
	mu      sync.Mutex
	strikes int       // failures in a row
	resume  time.Time // set after a failure: until then no shard is tried
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
// under way at a time. Every shipment that becomes safe, hopeless or settled is
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

// ship sends a segment's shards on their way, except to the slots set in have, which
// count as stored.
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
		s.settled(l.slot, errPaused) // it failed after this was shipped
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

// cutStopped calls off deliveries of which no byte has moved for long, where half
// of the shards that make their segment safe are stored, the last of them long ago:
// so the line works, and the holder has stopped. That costs it a strike.
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

// put sends one shard. A holder that does not know the group is told of it first.
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

// note remembers how the last delivery went: a holder that fails is left alone for a
// while, so that it cannot slow down segments for the others.
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

// refusals returns why holders refused or failed, for the error of a segment that
// cannot become safe.
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

// blame keeps the holders that failed a group out of the next ones that this session
// forms: a node that takes part and then stores nothing would fail them all.
func (k *carrier) blame() {
	if k.blamed {
		return
	}
	k.blamed = true
	for _, l := range k.lanes {
		l.mu.Lock()
		refused, strikes, why := l.refused, l.strikes, cmp.Or(l.refused, l.last)
		l.mu.Unlock()
		if l.peer != "" && (refused != nil || strikes > 0) {
			k.c.peers.missed(l.peer, refused != nil && !mayBeHonest(refused), why)
		}
	}
}
