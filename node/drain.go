package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/protocol"
)

// successors takes over what a draining node keeps.
type successors interface {
	// handOver finds a successor for this node's slot of a group. It returns
	// nil once the successor keeps all of the slot's shards, the members know
	// it for the holder, and nothing of the group is left on this node's disk.
	handOver(ctx context.Context, g protocol.GroupID) error
}

// errNoSuccessors is why a node that cannot hand over must stay.
var errNoSuccessors = errors.New("it was started without its identity's key and cannot sign its slots over")

const (
	// drainAtOnce bounds the slots that are handed over at a time.
	drainAtOnce = 4
	// stuckRounds is after how many rounds, in which nobody took anything, a node
	// says that it must stay. It is more than one because a node that has just
	// started knows few others.
	stuckRounds = 2
)

// DrainProgress tells how far a node is on its way out. It is read off the
// disk: what is still there is still to be handed over.
type DrainProgress struct {
	Since     string `json:"since"`     // RFC 3339 in UTC; empty: the node does not drain
	Slots     int    `json:"slots"`     // kept when it began, one a group
	SlotsLeft int    `json:"slotsLeft"` // still here
	Bytes     int64  `json:"bytes"`     // kept when it began
	BytesLeft int64  `json:"bytesLeft"` // still here
	Done      bool   `json:"done"`      // nothing is left: the node can go
	MustStay  bool   `json:"mustStay"`  // nobody can take over what is left, for now
	Why       string `json:"why"`       // what holds it up; empty: nothing that is known
}

// drainer is how far the node is on its way out.
type drainer struct {
	wake chan struct{}

	mu    sync.Mutex
	err   error // of the last round
	stuck int   // rounds in a row in which nobody took anything
}

func newDrainer() *drainer { return &drainer{wake: make(chan struct{}, 1)} }

// begins forgets the outcome of earlier rounds.
func (d *drainer) begins() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err, d.stuck = nil, 0
}

// ends notes the outcome of a round.
func (d *drainer) ends(r *drainRound) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.err = firstOf(r.errs)
	if d.stuck++; r.moving || len(r.errs) == 0 {
		d.stuck = 0
	}
	return d.err
}

func (d *drainer) failure() (err error, stuck bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.err, d.stuck >= stuckRounds
}

// drainRound is the outcome of one round for all groups.
type drainRound struct {
	mu     sync.Mutex
	errs   []error
	moving bool // something was handed over or is on its way, or may be with time
}

func (r *drainRound) note(id protocol.GroupID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.moving = r.moving || !errors.Is(err, errNobody) && !errors.Is(err, errFrozen) && !errors.Is(err, errTableOf)
	if err != nil && !errors.Is(err, errUnderWay) {
		r.errs = append(r.errs, fmt.Errorf("hand over group %s: %w", id.Prefix(), err))
	}
}

// Drain begins the way out, or goes on with it: the node takes nothing new and
// hands over to successors, slot by slot. It must stay until DrainProgress says
// Done.
func (n *Node) Drain() error {
	u := n.store.Usage()
	now := n.now()
	err := n.deal.change(now, func(s contract.Stance) (contract.Stance, error) {
		if s.Drain == nil {
			s.Drain = &contract.Drain{Since: now.Unix(), Groups: u.Groups, Bytes: u.Used}
		}
		return s, nil
	})
	if err == nil {
		n.drain.begins()
		select {
		case n.drain.wake <- struct{}{}:
		default:
		}
	}
	return err
}

// StopDrain ends the way out: slots that were signed over go, the rest stay.
func (n *Node) StopDrain() error {
	return n.deal.change(n.now(), func(s contract.Stance) (contract.Stance, error) {
		s.Drain = nil
		return s, nil
	})
}

// DrainProgress tells how far the node is.
func (n *Node) DrainProgress() DrainProgress {
	s := n.deal.stance()
	if s.Drain == nil {
		return DrainProgress{}
	}
	u := n.store.Usage()
	p := DrainProgress{
		Since: timeText(s.Drain.Since),
		Slots: max(s.Drain.Groups, u.Groups), SlotsLeft: u.Groups,
		Bytes: max(s.Drain.Bytes, u.Used), BytesLeft: u.Used,
	}
	err, stuck := n.drain.failure()
	p.MustStay = stuck
	if away := n.missingStores(); away != nil {
		err = away
	} else if p.SlotsLeft == 0 && u.Shards == 0 {
		p.BytesLeft, p.Done, p.MustStay = 0, true, false
		return p
	}
	if n.successors == nil && p.SlotsLeft > 0 {
		err, p.MustStay = errNoSuccessors, true
	}
	if err != nil {
		p.Why = err.Error()
	}
	return p
}

// missingStores tells of folders that cannot be read: what lies in them is not
// counted, and not handed over.
func (n *Node) missingStores() error {
	var errs []error
	for _, s := range n.stores(n.store.Usage()) {
		if s.State != StoreOK {
			errs = append(errs, fmt.Errorf("store %s: %s", s.Dir, s.Why))
		}
	}
	return errors.Join(errs...)
}

// drainOnce hands over what the node keeps, if it drains; if it stays after all,
// only what it has signed over. It goes on after a group that nobody takes over,
// and comes back to it in the next round.
func (n *Node) drainOnce(ctx context.Context) error {
	signed := n.handings.given()
	if n.successors == nil || !n.leaves() && len(signed) == 0 {
		return nil
	}
	var (
		round drainRound
		all   errgroup.Group
	)
	all.SetLimit(drainAtOnce)
	for id, err := range n.store.Groups(ctx) {
		if ctx.Err() != nil {
			break
		}
		if err != nil {
			round.note(id, err)
			continue
		}
		if n.leaves() || signed[id] {
			all.Go(func() error { round.note(id, n.successors.handOver(ctx, id)); return nil })
		}
	}
	_ = all.Wait()
	return n.drain.ends(&round)
}

// leaves reports whether the donor wants the node to leave.
func (n *Node) leaves() bool { return n.deal.stance().Drain != nil }

// firstOf returns the first error and how many more there are: thousands of
// groups can fail for one cause.
func firstOf(errs []error) error {
	if len(errs) > 1 {
		return fmt.Errorf("%w, and %d more", errs[0], len(errs)-1)
	}
	return errors.Join(errs...)
}

func (n *Node) drainLoop(ctx context.Context) {
	for wait := time.Duration(0); pause(ctx, wait, n.drain.wake); wait = n.cfg.Timing.UpkeepEvery {
		if err := n.drainOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("draining", "err", err)
		}
	}
}
