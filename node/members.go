package node

import (
	"context"

	"github.com/cairnstore/cairn/protocol"
)

// Members names the holders of a group's slots to whoever may read a segment
// that is held here, to members, and to holders of a group proof.
func (n *Node) Members(ctx context.Context, from protocol.Remote, r *protocol.MembersRequest) (*protocol.MembersReply, error) {
	g, release, err := n.groups.open(ctx, r.Group)
	if err != nil {
		return nil, n.hideStore("open group", err)
	}
	defer release()
	if err := n.maySeeMembers(ctx, from, g, r); err != nil {
		return nil, err
	}
	own, err := n.cfg.Net.Envelope()
	if err != nil {
		return nil, err
	}
	return n.membersReply(g, own), nil
}

func (n *Node) maySeeMembers(ctx context.Context, from protocol.Remote, g *groupState, r *protocol.MembersRequest) error {
	if r.Segment == (protocol.SegmentID{}) {
		return n.mayList(g, from, r.Proof)
	}
	if _, _, err := g.founded(); err != nil {
		return protocol.Refuse(protocol.CodeNotFound, "group %s is not held", g.id.Prefix())
	}
	key, _, ok := g.keyOf(r.Segment)
	if !ok {
		return protocol.Refuse(protocol.CodeNotFound, "segment %s is not held of this group", r.Segment)
	}
	sh, err := n.openShard(ctx, r.Segment, int(key.Slot))
	if err != nil {
		return err
	}
	defer func() { _ = sh.Close() }()
	_, err = n.mayRead(from, r.Segment, sh.Descriptor(), r.Proof)
	return err
}

// membersReply lists the newest envelopes of those who hold slots, as this node
// believes: drawn by the owner or proven. Whom it has found gone or failed it
// names where nobody else is known at the slot: others may see it otherwise.
func (n *Node) membersReply(g *groupState, own protocol.Envelope) *protocol.MembersReply {
	list := n.neighbours.Holders(g.id)
	g.mu.Lock()
	defer g.mu.Unlock()
	reply := &protocol.MembersReply{Record: g.recordRaw, Table: g.tableRaw}
	at := 0
	for slot := range g.table.Slots {
		var lost protocol.Envelope
		known := len(reply.Members)
		if slot == g.slot {
			reply.Members = append(reply.Members, protocol.Member{Slot: slot, Envelope: own})
		}
		for ; at < len(list) && list[at].Slot == slot; at++ {
			env := protocol.Envelope(g.envelopes[list[at].Peer].raw)
			if len(env) == 0 && list[at].Member {
				env = n.cfg.Net.EnvelopeOf(list[at].Peer) // it came by proof
			}
			switch {
			case len(env) == 0:
			case list[at].Member:
				reply.Members = append(reply.Members, protocol.Member{Slot: slot, Envelope: env})
			case list[at].Drawn:
				lost = env
			}
		}
		if len(reply.Members) == known && lost != nil {
			reply.Members = append(reply.Members, protocol.Member{Slot: slot, Envelope: lost})
		}
	}
	reply.Members = reply.Members[:min(len(reply.Members), protocol.MaxShards)]
	return reply
}
