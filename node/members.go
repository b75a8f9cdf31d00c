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
	return g.membersReply(own), nil
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

// membersReply lists the newest envelope of each slot's holder; own is this
// node's, made now.
func (g *groupState) membersReply(own protocol.Envelope) *protocol.MembersReply {
	g.mu.Lock()
	defer g.mu.Unlock()
	reply := &protocol.MembersReply{Record: g.recordRaw, Table: g.tableRaw}
	for slot := range g.table.Slots {
		env := protocol.Envelope(g.envelopes[g.table.Holder(slot)].raw)
		if slot == g.slot {
			env = own
		}
		if len(env) > 0 {
			reply.Members = append(reply.Members, protocol.Member{Slot: slot, Envelope: env})
		}
	}
	return reply
}
