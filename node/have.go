package node

import (
	"context"

	"github.com/cairnstore/cairn/protocol"
)

// Have says what this node has of a group: digests and lists to peers that may see
// them, yes or no about named segments to anybody.
func (n *Node) Have(ctx context.Context, from protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	if _, _, held := n.neighbours.SlotsOf(r.Group); held && len(r.Proof)+len(r.Named) == 0 && !n.belongs(r.Group, from.Peer) {
		if len(r.Facts)+len(r.Segments) > 0 {
			return nil, errNoList
		}
		return new(protocol.HaveReply), nil // without a look at the group, which would cost far more than to ask
	}
	if err := n.mayLoad(ctx, from, r.Group); err != nil {
		return nil, err
	}
	g, release, err := n.groups.OpenTurn(ctx, r.Group) // so that only durable facts are told
	if err != nil {
		return nil, n.hideStore("open group", err)
	}
	defer release()
	denied := n.mayList(g, from, r.Proof)
	lists := denied == nil
	if !lists && (protocol.CodeOf(denied) == protocol.CodeNotFound || len(r.Proof) > 0 || len(r.Facts)+len(r.Segments) > 0) {
		return nil, denied // yes or no about named segments is all that is left to a stranger
	}
	// A node that was away may hold what is deleted by now, and lack what it has
	// not been told of yet: only the owner may judge by that.
	judged := len(r.Proof) > 0 || !n.exchange.isStale(g.ID)
	if lists && !judged && len(r.Segments) > 0 {
		return nil, protocol.Refuse(protocol.CodeUnavailable, "this node was away and has not heard all members yet")
	}
	return g.Have(r, lists, judged), nil
}
