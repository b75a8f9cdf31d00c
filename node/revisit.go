package node

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/protocol"
)

// revisits are the members that are to be asked soon what they have: those that
// answer again after an absence, and those of groups whose need another member sees
// and this node does not.
type revisits struct {
	asked *rests[borrower]         // members that were asked whether they still lack something
	heard *rests[protocol.GroupID] // groups of which all members are being asked

	mu sync.Mutex
	m  map[borrower]revisit
}

type revisit struct {
	at    time.Duration // on neighbours' watch
	tries int
}

const (
	// maxRevisits bounds the members that wait to be asked, revisitTries how
	// often one is asked that does not say. The others' turn comes with the
	// exchange of facts.
	maxRevisits  = 1 << 16
	revisitTries = retryPart
	// revisitsAtOnce bounds how many are asked in one round.
	revisitsAtOnce = 192
)

func newRevisits() *revisits {
	return &revisits{asked: newRests[borrower](), heard: newRests[protocol.GroupID](), m: make(map[borrower]revisit)}
}

// add plans to ask a member of a group.
func (r *revisits) add(v borrower, at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, planned := r.m[v]; planned || len(r.m) >= maxRevisits {
		return
	}
	r.m[v] = revisit{at: at}
}

// due returns the members whose turn it is, and plans to ask them again a while
// later; done ends that for one that has told.
func (r *revisits) due(now, again time.Duration, most int) (out []borrower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for v, p := range r.m {
		if now < p.at {
			continue
		}
		if len(out) == most {
			break
		}
		if p.tries++; p.tries >= revisitTries {
			delete(r.m, v)
		} else {
			r.m[v] = revisit{at: now + again, tries: p.tries}
		}
		out = append(out, v)
	}
	return out
}

func (r *revisits) done(v borrower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m, v)
}

// revisit asks members that answer again after an absence what they have: they have
// missed what was put and deleted meanwhile.
func (n *Node) revisit(ctx context.Context) error {
	every, now := n.cfg.Timing.ExchangeEvery, n.neighbours.Now()
	for _, id := range n.neighbours.TakeBack() {
		for _, g := range n.neighbours.GroupsWith(id) {
			n.revisits.add(borrower{id, g}, now+n.rand.upTo(every/catchUpPart))
		}
	}
	var all errgroup.Group
	all.SetLimit(exchangeAtOnce)
	for _, v := range n.revisits.due(now, n.rand.jitter(every/retryPart), revisitsAtOnce) {
		all.Go(func() error { return n.revisitMember(ctx, v) })
	}
	return all.Wait()
}

func (n *Node) revisitMember(ctx context.Context, v borrower) error {
	if !n.neighbours.IsMember(v.group, v.peer) {
		n.revisits.done(v)
		return nil
	}
	g, release, err := n.groups.Open(ctx, v.group)
	if err != nil {
		return n.hideStore("open group", err)
	}
	defer release()
	told, err := n.compare(ctx, g, v.peer)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case told:
		n.revisits.done(v)
	case err != nil:
		n.log.Debug("a member that came back does not say what it has", "group", v.group.Prefix(), "peer", protocol.ShortPeer(v.peer), "err", err)
	}
	return nil
}
