package node

import (
	"context"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
)

// Members names the holders of a group's slots to peers that may read a segment
// that is held here, to members, and to peers with a group proof.
func (n *Node) Members(ctx context.Context, from protocol.Remote, r *protocol.MembersRequest) (*protocol.MembersReply, error) {
	if err := n.maySeeCold(ctx, from, r); err != nil {
		return nil, err
	}
	g, release, err := n.groups.Open(ctx, r.Group)
	if err != nil {
		return nil, n.hideStore("open group", err)
	}
	defer release()
	if err := n.maySeeMembers(ctx, from, g, r); err != nil {
		return nil, err
	}
	_, table, err := g.Founded()
	if err != nil {
		return nil, err
	}
	own, err := n.cfg.Net.Envelope()
	if err != nil {
		return nil, err
	}
	return n.membersReply(g, table, own), nil
}

// maySeeCold refuses what can be refused without reading the group, where that is
// not in memory; else it waits until the group may be read.
func (n *Node) maySeeCold(ctx context.Context, from protocol.Remote, r *protocol.MembersRequest) error {
	_, own, held := n.neighbours.SlotsOf(r.Group)
	if !held || n.groups.Has(r.Group) {
		return nil
	}
	if r.Segment == (protocol.SegmentID{}) {
		if len(r.Proof) == 0 && !n.belongs(r.Group, from.Peer) {
			return errNoList
		}
	} else if err := n.mayReadOf(ctx, from, r, own); err != nil {
		return err
	}
	return n.mayLoad(ctx, from, r.Group)
}

func (n *Node) maySeeMembers(ctx context.Context, from protocol.Remote, g *truth.Group, r *protocol.MembersRequest) error {
	if r.Segment == (protocol.SegmentID{}) {
		return n.mayList(g, from, r.Proof)
	}
	if _, _, err := g.Founded(); err != nil {
		return protocol.Refuse(protocol.CodeNotFound, "group %s is not held", g.ID.Prefix())
	}
	key, _, ok := g.KeyOf(r.Segment)
	if !ok {
		return protocol.Refuse(protocol.CodeNotFound, "segment %s is not held of this group", r.Segment)
	}
	return n.mayReadOf(ctx, from, r, int(key.Slot))
}

// mayReadOf checks the right to read the segment that a request names.
func (n *Node) mayReadOf(ctx context.Context, from protocol.Remote, r *protocol.MembersRequest, slot int) error {
	sh, err := n.openShard(ctx, r.Segment, slot)
	if err != nil {
		return err
	}
	defer func() { _ = sh.Close() }()
	_, err = n.mayRead(from, r.Segment, sh.Descriptor(), r.Proof)
	return err
}

// membersReply lists the newest envelopes of the peers that this node believes to
// hold slots: drawn by the owner or proven. A drawn holder that it has found gone or
// failed is named where no other is known at the slot: to others it may still count.
func (n *Node) membersReply(g *truth.Group, table *protocol.Table, own protocol.Envelope) *protocol.MembersReply {
	reply := new(protocol.MembersReply)
	reply.Record, reply.Table = g.Founding()
	add := func(slot int, env protocol.Envelope) {
		if len(reply.Members) < protocol.MaxShards {
			reply.Members = append(reply.Members, protocol.Member{Slot: slot, Envelope: env})
		}
	}
	list, ownSlot := n.neighbours.Holders(g.ID), g.OwnSlot()
	for slot := range table.Slots {
		var lost protocol.Envelope
		known := len(reply.Members)
		if slot == ownSlot {
			add(slot, own)
		}
		for ; len(list) > 0 && list[0].Slot == slot; list = list[1:] {
			switch env := n.envelopeIn(g, &list[0]); {
			case len(env) == 0:
			case list[0].Member:
				add(slot, env)
			case list[0].Drawn:
				lost = env
			}
		}
		if len(reply.Members) == known && lost != nil {
			add(slot, lost)
		}
	}
	return reply
}

// envelopeIn returns the newest envelope of a group's holder.
func (n *Node) envelopeIn(g *truth.Group, h *neighbours.Holder) protocol.Envelope {
	env := g.EnvelopeOf(h.Peer)
	if len(env) == 0 && h.Member {
		env = n.cfg.Net.EnvelopeOf(h.Peer) // it came by proof
	}
	return env
}
