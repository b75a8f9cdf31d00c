package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// succession hands this node's slots over, each in stages that a restart goes
// on with (docs/decisions/0023): a successor is drawn, brought all shards and
// facts, and given the signed handover; it asks the members to be let in, and
// they audit it; once they list it, nothing is kept here any more. Until then
// this node serves on, and counts.
type succession struct {
	*Node
	key crypto.PrivKey

	mu    sync.Mutex
	pool  []group.Candidate
	asked time.Duration // when, on the watch
	fresh bool          // pool is set
}

// Why a slot is still here.
var (
	errNobody   = errors.New("nobody takes it over")
	errUnderWay = errors.New("on its way")
	errFrozen   = errors.New("its owner was long not heard of, and nobody may take it over: it is freed when its lease ends")
	errTableOf  = errors.New("the group's record or table is damaged here")
	errCutOff   = errors.New("this node is cut off from the others")
	errNotLetIn = errors.New("the members did not let the successor in: another is drawn")
	errStays    = errors.New("it stays after all")
	errHere     = errors.New("this node")
)

const (
	// poolFor is how long successors are drawn from candidates that were asked how
	// much they have free.
	poolFor = 5 * time.Minute
	// letInWithin is how many days, each a RepairDay, the members have to let a
	// successor in: members that are switched off at night are to have their say.
	// After that, it is enough that more than half of those that answer have let it
	// in; else another is drawn.
	letInWithin = 3
)

// handOver takes the next steps for this node's slot of a group. It returns nil
// when nothing of it is left here, and errUnderWay while others have to act.
func (s *succession) handOver(ctx context.Context, id protocol.GroupID) error {
	h := s.handings.get(id)
	switch {
	case h.Stage == handingOver:
		return s.leaveGroup(ctx, id, h)
	case s.neighbours.Now() < h.next:
		return errUnderWay
	}
	v := s.neighbours.Roll(id)
	switch {
	case v == nil:
		return s.leaveRest(ctx, id, h)
	case s.neighbours.CutOff():
		return errCutOff
	case !s.isAlive(id):
		return errFrozen
	}
	if h.Stage == handingNew {
		over, err := s.drawSuccessor(ctx, v, h)
		if err != nil {
			return err
		}
		if over {
			return s.leaveGroup(ctx, id, h)
		}
	}
	if rec, err := protocol.Envelope(h.Envelope).Open(); err == nil {
		s.cfg.Net.Learn(rec.Info())
	}
	if h.Stage == handingDrawn {
		if err := s.deliver(ctx, v, h); err != nil {
			return s.failed(ctx, id, h, err)
		}
	}
	return s.awaitEntry(ctx, v, h)
}

// drawSuccessor nominates a candidate for this node's slot. over says that none
// is needed.
func (s *succession) drawSuccessor(ctx context.Context, v *neighbours.Roll, h *handing) (over bool, err error) {
	f, err := s.factsOf(ctx, v.ID)
	if err != nil {
		return false, err
	}
	shares, err := s.shares(ctx, v, f)
	if err != nil {
		return false, err
	}
	if s.spared(ctx, v, shares) {
		return true, s.noteHanding(ctx, v.ID, h, handingNote{Stage: handingOver})
	}
	v.View.Released.Add(v.Self)
	to, env := s.askCandidates(ctx, v, v.Own(), s.candidatesNow(ctx), f)
	if to == "" {
		return false, errNobody
	}
	s.log.Info("drew a successor", "group", v.ID.Prefix(), "slot", v.Own(), "peer", protocol.ShortPeer(to))
	return false, s.noteHanding(ctx, v.ID, h, handingNote{Successor: []byte(to), Envelope: env, Stage: handingDrawn})
}

// candidatesNow asks others how much they have free, once in a while for all groups.
func (s *succession) candidatesNow(ctx context.Context) []group.Candidate {
	s.mu.Lock()
	now := s.neighbours.Now()
	pool, fresh := s.pool, s.fresh && now-s.asked < min(poolFor, s.cfg.Timing.RepairEvery)
	s.mu.Unlock()
	if fresh {
		return pool
	}
	pool = s.candidates(ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pool, s.asked, s.fresh = pool, now, len(pool) > 0
	return pool
}

// spared reports whether nobody has to take a slot: because the members that answer
// already count on another holder of it, or do not count on this node; or because
// nothing is here that the others, which compare facts, do not have.
func (s *succession) spared(ctx context.Context, v *neighbours.Roll, shares []keptShard) bool {
	alone := len(v.Table.Held) == 1
	if _, granted := s.neighbours.ToBeFound(v.ID); len(shares) == 0 && (!alone || !granted) {
		return true
	}
	for i := range v.Table.Held {
		if h := &v.Table.Held[i]; i != v.Self && int(h.Slot) == v.Own() && v.Living.Has(i) && !v.LacksAny(i) && s.listings(ctx, v, h.Peer).settled(false) {
			return true
		}
	}
	if alone {
		return false
	}
	l := s.listings(ctx, v, s.self)
	return l.answered > 0 && 2*l.answered >= l.asked && l.listing == 0
}

// failed gives up a successor that refuses for good, or that has not done what it
// should for long. An error of this node's own is not the successor's fault.
func (s *succession) failed(ctx context.Context, id protocol.GroupID, h *handing, err error) error {
	if ctx.Err() != nil || errors.Is(err, errHere) {
		return err
	}
	now := s.neighbours.Now()
	if !h.failing {
		h.failing, h.failed = true, now
	}
	lost := refusedForGood(err)
	for _, no := range []error{errNotKept, errNoProof, protocol.ErrNotFound, protocol.ErrBudget, protocol.ErrDisputed} {
		lost = lost || errors.Is(err, no)
	}
	if lost || now-h.failed >= s.cfg.Timing.Liveness.AbsentAfter/4 {
		err = errors.Join(err, s.decline(ctx, id, h))
	}
	return err
}

// decline gives a successor up, so that another is drawn.
func (s *succession) decline(ctx context.Context, id protocol.GroupID, h *handing) error {
	now := s.neighbours.Now()
	s.repairs.declined.until(borrower{h.successor(), id}, now+s.cfg.Timing.EnterAgain, now)
	s.log.Info("a successor is given up", "group", id.Prefix(), "peer", protocol.ShortPeer(h.successor()))
	return s.noteHanding(ctx, id, h, handingNote{Stage: handingNew})
}

// giveHandover signs the slot over to the successor, which has it on its disk
// when it answers.
func (s *succession) giveHandover(ctx context.Context, v *neighbours.Roll, h *handing) error {
	b, err := protocol.SignHandover(s.key, s.cfg.Network, v.ID, v.Own(), h.successor())
	if err != nil {
		return fmt.Errorf("%w: %w", errHere, err)
	}
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = s.caller.Enter(ask, h.successor(), &protocol.EnterRequest{Group: v.ID, Slot: v.Own(), Handover: b})
	h.again = s.neighbours.Now() + s.cfg.Timing.EnterAgain
	return err
}

// awaitEntry asks the members whether they list the successor, at first often,
// and lets go of the group once they do.
func (s *succession) awaitEntry(ctx context.Context, v *neighbours.Roll, h *handing) error {
	now := s.neighbours.Now()
	if now >= h.again {
		if err := s.giveHandover(ctx, v, h); err != nil {
			s.log.Debug("a successor does not answer", "group", v.ID.Prefix(), "peer", protocol.ShortPeer(h.successor()), "err", err)
		}
	}
	late := s.now().Sub(unix(h.Since)) >= letInWithin*s.cfg.Timing.RepairDay
	switch l := s.listings(ctx, v, h.successor()); {
	case l.settled(late):
		if err := s.bringLate(ctx, v, h.successor()); err != nil && !late {
			return err
		}
		err := s.noteHanding(ctx, v.ID, h, handingNote{Successor: h.Successor, Envelope: h.Envelope, Stage: handingOver})
		if err != nil {
			return err
		}
		return s.leaveGroup(ctx, v.ID, h)
	case late:
		return errors.Join(errNotLetIn, s.decline(ctx, v.ID, h))
	}
	h.wait = min(max(2*h.wait, s.cfg.Timing.UpkeepEvery), max(s.cfg.Timing.RepairEvery, s.cfg.Timing.UpkeepEvery))
	h.next = now + h.wait
	return errUnderWay
}
