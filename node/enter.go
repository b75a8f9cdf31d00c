package node

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Enter hears a peer's own request for a slot. Yes means that this node will
// audit it, and nothing more. A peer that may not have the slot because another
// holds it is audited, too, so that it becomes a spare. By the same message a holder
// hands its slot over to this node.
func (n *Node) Enter(ctx context.Context, from protocol.Remote, r *protocol.EnterRequest) (*protocol.EnterReply, error) {
	if n.isGiven(from.Peer, r) {
		if err := n.takeHandover(ctx, from, r); err != nil {
			return nil, err
		}
		return new(protocol.EnterReply), nil
	}
	v := n.neighbours.RollFor(r.Group)
	if v == nil {
		return nil, protocol.Refuse(protocol.CodeNotFound, "group %s is not held", r.Group.Prefix())
	}
	handed, err := n.handedOver(v, from.Peer, r)
	known := n.neighbours.HasSeat(r.Group, from.Peer)
	a := n.answer(v, from.Peer, r.Slot)
	beside := a == group.Occupied && v.Table.Fits(r.Slot, n.domainOf(from.Peer), v.View)
	if beside && n.neighbours.AskBeside(r.Group, from.Peer, r.Slot) {
		n.askBack(v, from.Peer, r.Slot, known)
	}
	if err == nil {
		err = refusal(v, r.Slot, a)
	}
	if err != nil {
		return nil, err
	}
	named, _ := n.nominees.at(place{r.Group, r.Slot}, n.neighbours.Now())
	if !n.neighbours.Ask(r.Group, from.Peer, r.Slot, named.peer) {
		return nil, protocol.Refuse(protocol.CodeDisputed, "too many ask for slot %d", r.Slot)
	}
	n.neighbours.Hand(r.Group, handed, from.Peer, r.Slot)
	n.askBack(v, from.Peer, r.Slot, known)
	return new(protocol.EnterReply), nil
}

// askBack plans that this node, in turn, asks a peer that asked it for a slot. A
// newcomer may not know of this node where this node came by proof itself. A member
// asks again when one of the two was gone for the other, and then may no longer
// count this node's slot.
func (n *Node) askBack(v *neighbours.Roll, id peer.ID, slot int, known bool) {
	if !v.Drawn && !known || n.neighbours.AsksBack(v.ID, id, slot, n.cfg.Timing.EnterAgain) {
		n.entering.add(v.ID, []peer.ID{id}, n.neighbours.Now())
	}
}

// handedOver checks a handover, and counts its holder as having left. It
// returns the holder that handed the slot over; "": none did. A handover serves
// once: a peer that has held the slot enters again without it, and so does not move
// out a holder that has taken the slot since.
func (n *Node) handedOver(v *neighbours.Roll, to peer.ID, r *protocol.EnterRequest) (peer.ID, error) {
	if len(r.Handover) == 0 || v.HasSat(to, r.Slot) {
		return "", nil
	}
	var err error // nobody there: the slot is vacant, and needs no handover
	for i := range v.Table.Held {
		h := &v.Table.Held[i]
		if int(h.Slot) != r.Slot {
			continue
		}
		if i == v.Self {
			err = protocol.Refuse(protocol.CodeDenied, "slot %d is nobody's to hand over", r.Slot)
			continue
		}
		var o *protocol.Handover
		if o, err = protocol.OpenHandover(n.cfg.Network, r.Group, h.Peer, r.Handover); err != nil {
			continue
		}
		if o.Slot != r.Slot || peer.ID(o.Successor) != to {
			return "", protocol.Refuse(protocol.CodeDenied, "the handover is not for you")
		}
		v.View.Released.Add(i)
		return h.Peer, nil
	}
	return "", err
}

// enterLoop asks to be taken for the holder of slots.
func (n *Node) enterLoop(ctx context.Context) {
	// It does not know which members an earlier run had asked.
	for _, id := range n.handovers.since(n.now().Add(-(letInWithin + 1) * n.cfg.Timing.RepairDay)) {
		n.enterAll(id)
	}
	for ctx.Err() == nil {
		n.enterOnce(ctx)
		if !pause(ctx, n.cfg.Timing.UpkeepEvery, n.entering.wake) {
			return
		}
	}
}

// enterOnce makes the requests that are due. A member that refuses because it sees
// another in the slot is asked again some hours later.
func (n *Node) enterOnce(ctx context.Context) {
	n.enterBack()
	now := n.neighbours.Now()
	for _, g := range n.neighbours.Guests() {
		// A node with nothing to prove would not be let in, nor be answered.
		if n.entering.meets(g, now, n.rand.jitter(n.cfg.Timing.EnterAgain)) && n.hasToProve(ctx, g) {
			n.entering.add(g, n.meetMembers(ctx, g), now)
			n.entering.add(g, n.neighbours.Ignorant(g), now)
		}
	}
	signed := n.handings.given()
	for g, list := range n.entering.due(now) {
		_, slot, held := n.neighbours.SlotsOf(g)
		if !held || slot < 0 || signed[g] {
			continue
		}
		n.requestEntries(ctx, g, slot, list)
	}
}

// enterWithin is for how long requests to one group's members are begun in one
// round: members that stall keep no other group waiting for longer.
const enterWithin = time.Minute

func (n *Node) requestEntries(ctx context.Context, g protocol.GroupID, slot int, of []peer.ID) {
	begun := n.neighbours.Now()
	var all errgroup.Group
	all.SetLimit(asksAtOnce)
	for _, id := range of {
		all.Go(func() error {
			if now := n.neighbours.Now(); now-begun >= enterWithin {
				n.entering.add(g, []peer.ID{id}, now+n.cfg.Timing.UpkeepEvery)
				return nil
			}
			n.requestEntry(ctx, g, slot, id)
			return nil
		})
	}
	_ = all.Wait()
}

// hasToProve reports whether something of a group is held here.
func (n *Node) hasToProve(ctx context.Context, id protocol.GroupID) bool {
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return false
	}
	defer release()
	return g.Count() > 0
}

func (n *Node) requestEntry(ctx context.Context, g protocol.GroupID, slot int, to peer.ID) {
	ask, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	n.neighbours.AsksEntry(g, to)
	err := n.caller.Enter(ask, to, &protocol.EnterRequest{Group: g, Slot: slot, Handover: n.handovers.of(g)})
	n.entering.answered(g, to, err)
	switch {
	case err == nil:
		n.neighbours.AnswersEntry(g, to, true)
	case errors.Is(err, protocol.ErrNotFound), errors.Is(err, protocol.ErrWrongSlot):
	case ctx.Err() == nil:
		if errors.Is(err, protocol.ErrDisputed) {
			n.neighbours.AnswersEntry(g, to, false)
		}
		n.log.Debug("a member does not let this node in", "peer", protocol.ShortPeer(to), "group", g.Prefix(), "err", err)
		if n.neighbours.IsMember(g, to) { // else it is met again, if it lives
			n.entering.add(g, []peer.ID{to}, n.neighbours.Now()+n.cfg.Timing.EnterAgain)
		}
	}
}

// enterSoon plans requests to all members of a group in which this node came to
// a slot that the owner gave to another: once it has shards to prove, and had
// some time to receive the others.
func (n *Node) enterSoon(g *truth.Group) {
	if g.IsDrawn() {
		return
	}
	v := n.neighbours.RollFor(g.ID)
	if v == nil || !n.entering.begin(g.ID, n.neighbours.Now(), n.cfg.Timing.EnterAgain) {
		return
	}
	n.entering.add(g.ID, v.Others(), n.neighbours.Now()+2*n.cfg.Timing.RepairEvery)
}

// enterAll plans that all members of a group are asked for entry now, and also who
// else there is.
func (n *Node) enterAll(id protocol.GroupID) {
	if v := n.neighbours.RollFor(id); v != nil {
		now := n.neighbours.Now()
		n.entering.meetAt(id, now)
		n.entering.add(id, v.Others(), now)
	}
}

// enterBack plans requests to the neighbours that answer again after they, or this
// node, were gone: they may no longer count its seats.
func (n *Node) enterBack() {
	for _, id := range n.neighbours.TakeReturned() {
		for _, g := range n.neighbours.GroupsWith(id) {
			n.entering.add(g, []peer.ID{id}, n.neighbours.Now())
		}
	}
}
