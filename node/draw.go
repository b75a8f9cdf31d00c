package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

const (
	// candidatesAsked is how many nodes a drawer looks at, candidatesTried how
	// many of those that fit it asks to take a slot.
	candidatesAsked = 64
	candidatesTried = 5
)

// draw fills those vacant slots of a group for which this node is the drawer: it
// finds candidates that take them, and names these to all members. If this node sees
// urgency, and most members that answer see none, it is probably this node that is
// badly connected: then it draws one an hour.
func (n *Node) draw(ctx context.Context, v *neighbours.Roll, vacant group.Set, f *groupFacts, urgent bool) {
	day := group.DayAt(v.ID, n.cfg.Timing.RepairDay, n.now())
	domains := v.Table.DomainKeys()
	var pool []group.Candidate
	for slot := range v.Table.Profile.N {
		p := place{v.ID, slot}
		if !vacant.Has(slot) || ctx.Err() != nil {
			continue
		}
		now := n.neighbours.Now()
		if urgent && n.repairs.hasty.resting(v.ID, now) {
			return
		}
		if c, named := n.nominees.at(p, now); named && c.byTurn || n.repairs.thin.resting(p, now) {
			continue
		}
		if group.Drawer(v.ID, slot, day, v.Keys, domains, v.Living) != v.Self {
			continue
		}
		if pool == nil {
			pool = n.candidates(ctx)
		}
		n.drawSlot(ctx, v, slot, pool, f)
	}
}

// drawSlot asks candidates for a vacant slot, and names the one that takes it to
// the other members.
func (n *Node) drawSlot(ctx context.Context, v *neighbours.Roll, slot int, pool []group.Candidate, f *groupFacts) {
	now := n.neighbours.Now()
	id, env := n.askCandidates(ctx, v, slot, pool, f)
	if id == "" {
		n.repairs.thin.until(place{v.ID, slot}, now+group.TurnLength(n.cfg.Timing.RepairDay), now)
		n.log.Debug("no candidate for a slot: the group is thin", "group", v.ID.Prefix(), "slot", slot)
		return
	}
	if !n.nameCandidate(place{v.ID, slot}, nominee{peer: id, envelope: env, byTurn: true, by: n.self}) {
		return
	}
	took, refused := n.tellCandidate(ctx, v, slot, env, f)
	if refused > took {
		n.repairs.ahead.until(v.ID, now+n.agreed(), now)
		n.repairs.hasty.until(v.ID, now+n.cfg.Timing.Liveness.RetryEvery, now)
	}
	n.log.Info("drew a candidate", "group", v.ID.Prefix(), "slot", slot, "peer", protocol.ShortPeer(id), "took", took, "refused", refused)
}

// askCandidates nominates one candidate after the other for a slot, in the order
// drawn, and returns the first that takes it, with its peer record; "": none
// does.
func (n *Node) askCandidates(ctx context.Context, v *neighbours.Roll, slot int, pool []group.Candidate, f *groupFacts) (peer.ID, protocol.Envelope) {
	private := n.neighbours.IsPrivate()
	var order []group.Candidate
	n.rand.with(func(r *rand.Rand) { order = v.Table.Redraw(slot, pool, f.bytes, private, v.View, r) })
	now, tried := n.neighbours.Now(), 0
	for _, c := range order {
		who := borrower{c.Peer, v.ID}
		if n.nominees.has(v.ID, c.Peer, now) || n.repairs.declined.resting(who, now) {
			continue
		}
		if tried >= candidatesTried {
			break
		}
		r := &protocol.NominateRequest{Group: v.ID, Slot: slot, Record: f.record, Table: f.table, Bytes: f.bytes}
		reply, err := n.nominate(ctx, c.Peer, r)
		if err != nil {
			n.repairs.declined.until(who, now+n.cfg.Timing.EnterAgain, now)
			if errors.Is(err, protocol.ErrWrongSlot) || errors.Is(err, protocol.ErrConflict) { // the second by earlier versions
				n.entering.add(v.ID, []peer.ID{c.Peer}, now) // it holds a slot of the group, unknown here
			} else {
				tried++
			}
			n.log.Debug("a candidate takes no slot", "peer", protocol.ShortPeer(c.Peer), "group", v.ID.Prefix(), "err", err)
			continue
		}
		return c.Peer, reply.Envelope
	}
	return "", nil
}

func (n *Node) nominate(ctx context.Context, to peer.ID, r *protocol.NominateRequest) (*protocol.NominateReply, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return n.caller.Nominate(ctx, to, r)
}

// tellCandidate names a slot's candidate to the other members that answer, and
// returns how many took it and how many see another in the slot.
func (n *Node) tellCandidate(ctx context.Context, v *neighbours.Roll, slot int, env protocol.Envelope, f *groupFacts) (took, refused int) {
	var yes, no atomic.Int64
	var all errgroup.Group
	all.SetLimit(asksAtOnce)
	for i := range v.Table.Held {
		if i == v.Self || !v.Living.Has(i) {
			continue
		}
		to := v.Table.Held[i].Peer
		r := &protocol.NominateRequest{Group: v.ID, Slot: slot, Record: f.record, Table: f.table, Bytes: f.bytes, Candidate: env}
		all.Go(func() error {
			switch _, err := n.nominate(ctx, to, r); {
			case err == nil:
				yes.Add(1)
			case errors.Is(err, protocol.ErrDisputed):
				no.Add(1)
				fallthrough
			default:
				n.log.Debug("a member does not take a candidate", "peer", protocol.ShortPeer(to), "group", v.ID.Prefix(), "err", err)
			}
			return nil
		})
	}
	_ = all.Wait()
	return int(yes.Load()), int(no.Load())
}

// candidates asks some of the nodes that this one has heard of how much they have
// free.
func (n *Node) candidates(ctx context.Context) []group.Candidate {
	var ids []peer.ID
	n.rand.with(func(r *rand.Rand) { ids = n.donors.Draw(candidatesAsked, n.now(), r) })
	out := make([]group.Candidate, len(ids))
	var all errgroup.Group
	all.SetLimit(asksAtOnce)
	for i, id := range ids {
		all.Go(func() error {
			ctx, cancel := context.WithTimeout(ctx, infoTimeout)
			defer cancel()
			info, err := n.caller.Info(ctx, id)
			if err != nil || info.Network != n.cfg.Network || info.Draining || info.Accepts != protocol.AcceptsOpen {
				return nil
			}
			out[i] = n.candidate(id)
			out[i].Free = info.Free
			return nil
		})
	}
	_ = all.Wait()
	kept := out[:0]
	for _, c := range out {
		if c.Peer != "" && c.Free > 0 {
			kept = append(kept, c)
		}
	}
	return kept
}
