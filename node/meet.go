package node

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// meetMembers asks members who holds the group's slots, until one answers, and
// returns the holders that this node does not know as such. A node that came by
// proof, as this one did, knows of others that came so only if they ask it; so both
// must look for one another. A member's word makes nobody a member here. The first
// member is asked alone; as long as none answers, twice as many at a time: some are
// off, and some stall.
func (n *Node) meetMembers(ctx context.Context, g protocol.GroupID) (strangers []peer.ID) {
	members := n.neighbours.Members(g)
	n.rand.shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	note := func(id peer.ID) {
		if id != n.self && !slices.Contains(members, id) && !slices.Contains(strangers, id) {
			strangers = append(strangers, id)
		}
	}
	next, stop := iter.Pull(n.whoMayKnow(ctx, g, members))
	defer stop()
	for most, answered := 1, false; !answered; most = min(2*most, asksAtOnce) {
		batch := pull(next, most)
		if len(batch) == 0 {
			break
		}
		told, errs := make([][]peer.ID, len(batch)), make([]error, len(batch))
		_ = atOnce(most, len(batch), func(i int) error {
			told[i], errs[i] = n.askMembers(ctx, g, batch[i])
			return nil
		})
		for i, id := range batch {
			if errs[i] == nil || errors.Is(errs[i], protocol.ErrDenied) { // or it has the group, and has not heard of this node
				note(id)
			}
			for _, other := range told[i] {
				note(other)
			}
			answered = answered || errs[i] == nil
		}
	}
	return strangers
}

// pull takes at most n from a sequence.
func pull(next func() (peer.ID, bool), n int) (out []peer.ID) {
	for len(out) < n {
		id, ok := next()
		if !ok {
			break
		}
		out = append(out, id)
	}
	return out
}

// foundMost bounds how many peers are asked that only claim in the DHT to have
// something of a group.
const foundMost = 32

// whoMayKnow returns the peers that may know a group's members: the members that
// this node knows, the peer that nominated it for its slot, and those found in the
// DHT. When a group has been repaired often enough, nobody of the owner's table lives
// any more.
func (n *Node) whoMayKnow(ctx context.Context, g protocol.GroupID, members []peer.ID) iter.Seq[peer.ID] {
	return func(yield func(peer.ID) bool) {
		known := slices.Clone(members)
		if by := n.nominatorOf(ctx, g); by != "" && !slices.Contains(known, by) {
			known = append(known, by)
		}
		for _, id := range known {
			if id != n.self && (ctx.Err() != nil || !yield(id)) {
				return
			}
		}
		found := 0
		for id := range n.cfg.Net.Providers(ctx, protocol.FindKey(g.Prefix())) {
			if id == n.self || slices.Contains(known, id) {
				continue
			}
			if found++; found > foundMost || !yield(id) {
				return
			}
		}
	}
}

// nominatorOf returns the peer that nominated this node for its slot of a group;
// "": none did.
func (n *Node) nominatorOf(ctx context.Context, id protocol.GroupID) peer.ID {
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return ""
	}
	defer release()
	return g.NominatedWho()
}

// askMembers asks a peer who holds a group's slots, and learns these holders'
// addresses.
func (n *Node) askMembers(ctx context.Context, g protocol.GroupID, of peer.ID) (members []peer.ID, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	m, err := n.caller.Members(ctx, of, &protocol.MembersRequest{Group: g})
	if err != nil {
		return nil, err
	}
	for _, v := range m.Members {
		if rec, err := n.opened.Open(v.Envelope); err == nil {
			n.cfg.Net.Learn(rec.Info())
			members = append(members, rec.Peer)
		}
	}
	return members, nil
}
