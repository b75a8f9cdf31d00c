package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/repair"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// mayLend checks the rules of lending without a read proof and takes note of
// the loan. It refuses with CodeDisputed where the segment needs no repair here
// or its repair falls to another, and with CodeCapped beyond what is lent.
func (n *Node) mayLend(ctx context.Context, to protocol.Remote, r *protocol.MendRequest, d *protocol.Descriptor) error {
	v := loan{borrower{to.Peer, r.Group}, r.Segment, r.Purpose == protocol.PurposeMending}
	late, in := v.mending, crowdsOf(r.Group, to)
	if v.mending {
		// It counts as lacking the shard whatever it is lent: damage beyond the month's
		// loans is damage all the same.
		if !n.neighbours.Confess(r.Group, to.Peer, r.Segment, n.cfg.Timing.ConfessedFor) {
			return protocol.Refuse(protocol.CodeCapped, "what members of group %s lack is too much to be noted", r.Group.Prefix())
		}
	} else {
		var err error
		if late, err = n.mayRepair(to.Peer, r); err != nil {
			return err
		}
	}
	if !late {
		return n.loans.take(v, false, 0, n.neighbours.Now(), in...)
	}
	g, release, err := n.groups.Open(ctx, r.Group)
	if err != nil {
		return n.hideStore("open group", err)
	}
	held := g.Count()
	release()
	return n.loans.take(v, true, max(leastLent, held*d.K/(d.N*lentShare)), n.neighbours.Now(), in...)
}

// mayRepair checks that a segment needs repair as this node sees it, or that this
// node has audited too few holders to tell (unclear), and that the repair may fall to
// a peer: now, or at the turn before. When a group has lost many at once, the rest are
// newcomers: if each waited until it has audited the others, nobody would be lent
// enough. But where it is unclear, the asker may be one that holds nothing, and wants
// the shard for a challenge that it has to answer: it is lent the shard only when no
// challenge from before can still wait for an answer.
func (n *Node) mayRepair(to peer.ID, r *protocol.MendRequest) (unclear bool, err error) {
	v := n.neighbours.RollFor(r.Group, r.Segment)
	if v == nil {
		return false, protocol.Refuse(protocol.CodeNotFound, "group %s is not held", r.Group.Prefix())
	}
	t := group.NewTally(v.Table.Slots(), v.View)
	c := group.Assess(v.Table.Profile, t.Count(v.Lacking(r.Segment)))
	if !c.NeedsRepair() && c != group.Unclear {
		n.hearAll(r.Group)
		return false, protocol.Refuse(protocol.CodeDisputed, "segment %s is %s", r.Segment, c)
	}
	day := n.cfg.Timing.RepairDay
	turns := repair.Group{ID: r.Group, Profile: v.Table.Profile, Keys: v.Keys, Living: v.Living, Self: v.Self}
	asker := v.Table.Find(to)
	for _, ago := range [...]time.Duration{0, day / 4} {
		turns.Day = group.DayAt(r.Group, day, n.now().Add(-ago))
		if asker >= 0 && turns.Plausible(r.Segment, asker) {
			return c == group.Unclear, nil
		}
	}
	return false, protocol.Refuse(protocol.CodeDisputed, "segment %s is another's to repair", r.Segment)
}

// hearAll plans that all members of a group are asked soon what they have: a peer
// that was refused a loan may know of a holder that lacks the segment, and will ask
// again.
func (n *Node) hearAll(id protocol.GroupID) {
	every, now := n.cfg.Timing.ExchangeEvery, n.neighbours.Now()
	if n.revisits.heard.resting(id, now) {
		return
	}
	n.revisits.heard.until(id, now+every/catchUpPart, now)
	for _, h := range n.neighbours.Holders(id) {
		if h.Member && h.State == liveness.Present {
			n.revisits.add(borrower{h.Peer, id}, now+n.rand.upTo(every/retryPart))
		}
	}
}

// Mend lends a co-member a whole shard without a read proof: to repair a segment
// that falls to it, or to mend its own, which is a confession.
func (n *Node) Mend(ctx context.Context, from protocol.Remote, r *protocol.MendRequest) (*protocol.GetReply, []byte, func(), error) {
	if !n.neighbours.IsMember(r.Group, from.Peer) {
		return nil, nil, nil, protocol.Refuse(protocol.CodeDisputed, "you are no member of group %s here", r.Group.Prefix())
	}
	_, own, _ := n.neighbours.SlotsOf(r.Group)
	if r.Slot != protocol.AnySlot && r.Slot != own {
		return nil, nil, nil, protocol.Refuse(protocol.CodeNotFound, "slot %d is another's", r.Slot)
	}
	sh, err := n.openShard(ctx, r.Segment, own)
	if err != nil {
		n.notice(ctx, r.Group, protocol.ShardRef{Segment: r.Segment, Slot: own}, err)
		return nil, nil, nil, err
	}
	defer func() { _ = sh.Close() }()
	if sh.Info().Group != r.Group || n.frees.has(kin{r.Group, r.Segment}) {
		return nil, nil, nil, protocol.Refuse(protocol.CodeNotFound, "segment %s", r.Segment)
	}
	desc := sh.Descriptor()
	d, err := protocol.OpenDescriptor(desc, r.Segment)
	if err != nil {
		return nil, nil, nil, protocol.Refuse(protocol.CodeCorrupt, "descriptor of %s", r.Segment)
	}
	if err := n.mayLend(ctx, from, r, d); err != nil {
		return nil, nil, nil, err
	}
	done, err := n.deal.bulk(ctx, n.deal.line.Up, contract.Deed{Kind: contract.Give, Class: contract.Repair, Bytes: d.ShardSize}, n.now())
	if err != nil {
		return nil, nil, nil, err
	}
	raw, free, err := n.readBody(ctx, from, sh, d, &protocol.GetRequest{Segment: r.Segment, Slot: own})
	if err != nil {
		done()
		return nil, nil, nil, err
	}
	release := func() { free(); done() }
	reply := &protocol.GetReply{Slot: own, Length: int64(len(raw))}
	if r.Descriptor {
		reply.Descriptor = desc
	}
	n.count.lent.Add(1)
	n.count.sent.Add(reply.Length)
	return reply, raw, release, nil
}
