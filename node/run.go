package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// stopPatience is how long Run waits for what is being acknowledged. The
// process has ten seconds in all.
const stopPatience = 8 * time.Second

// Run does what a node does on its own, until ctx is done: it announces its
// groups, gets to know other nodes, keeps in touch with its neighbours, audits
// them and compares facts with them, mends what its disk damaged, frees what is
// deleted and reads its disk over. Then it finishes what is being acknowledged,
// for at most 8 seconds, and ends every stream.
func (n *Node) Run(ctx context.Context) error {
	var loops sync.WaitGroup
	loops.Go(func() { n.announceLoop(ctx) })
	loops.Go(func() { n.gossipLoop(ctx) })
	loops.Go(func() { n.upkeepLoop(ctx) })
	loops.Go(func() { n.scrubLoop(ctx) })
	loops.Go(func() { n.beatLoop(ctx) })
	loops.Go(func() { n.auditLoop(ctx) })
	loops.Go(func() { n.mendLoop(ctx) })
	loops.Go(func() { n.enterLoop(ctx) })
	loops.Go(func() { n.repairLoop(ctx) })
	loops.Go(func() { n.notesLoop(ctx) })
	loops.Go(func() { n.exchangeLoop(ctx) })
	loops.Go(func() { n.drainLoop(ctx) })
	<-ctx.Done()
	err := n.visits.stop(stopPatience)
	loops.Wait()
	if late := n.saveViews(context.WithoutCancel(ctx), true); late != nil {
		n.log.Warn("a restart begins some neighbours' clocks anew", "err", late)
	}
	n.caller.Close()
	err = errors.Join(err, n.deal.save(n.now(), true))
	if err != nil {
		return fmt.Errorf("stop node: %w", err)
	}
	return nil
}

// RunOnce does one round of each of Run's loops.
func (n *Node) RunOnce(ctx context.Context) error {
	_, scrub := n.scrubOnce(ctx)
	_, beats := n.beatOnce(ctx)
	_, audits := n.auditOnce(ctx)
	return errors.Join(n.gossipOnce(ctx), n.announceOnce(ctx), n.upkeepOnce(ctx), n.drainOnce(ctx), scrub, beats, audits, n.exchangeOnce(ctx), n.mendOnce(ctx), n.saveViews(ctx, false))
}

func (n *Node) announceLoop(ctx context.Context) {
	for ctx.Err() == nil {
		wait := time.Duration(-1)
		if err := n.announceOnce(ctx); err != nil {
			n.log.Warn("announcing fails, will be tried again", "in", announceRetry, "err", err)
			wait = announceRetry
		}
		if !pause(ctx, wait, n.announce.wake) {
			return
		}
	}
}

func (n *Node) gossipLoop(ctx context.Context) {
	for wait := gossipFirst; ctx.Err() == nil; wait = min(2*wait, n.cfg.Timing.GossipEvery) {
		if err := n.gossipOnce(ctx); err != nil {
			n.log.Debug("asking peers", "err", err)
		}
		if !pause(ctx, n.rand.jitter(wait), nil) {
			return
		}
	}
}

func (n *Node) upkeepLoop(ctx context.Context) {
	for ctx.Err() == nil {
		if err := n.upkeepOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("upkeep", "err", err)
		}
		if !pause(ctx, n.cfg.Timing.UpkeepEvery, nil) {
			return
		}
	}
}

// notesLoop notes now and then what is known of neighbours.
func (n *Node) notesLoop(ctx context.Context) {
	for pause(ctx, n.rand.jitter(n.cfg.Timing.NotesEvery), nil) {
		if err := n.saveViews(ctx, false); err != nil && ctx.Err() == nil {
			n.log.Warn("a restart would begin some neighbours' clocks anew", "err", err)
		}
	}
}

// pause waits for a time (none if it is negative), for wake or for the
// context's end, and reports whether to go on.
func pause(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	var after <-chan time.Time
	if d >= 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		after = t.C
	}
	select {
	case <-after:
	case <-wake:
	case <-ctx.Done():
		return false
	}
	return true
}
