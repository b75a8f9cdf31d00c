package node

import (
	"context"

	"github.com/cairnstore/cairn/protocol"
)

// Info says what this node offers to this asker, and which other nodes it has
// spoken to within a day. Its own envelope comes first among them, so that who
// asks can pass it on.
func (n *Node) Info(_ context.Context, from protocol.Remote, _ *protocol.InfoRequest) (*protocol.InfoReply, error) {
	reply := &protocol.InfoReply{
		Network: n.cfg.Network, Version: protocol.Version, Agent: n.cfg.Agent,
		Donated: n.cfg.Donated, Accepts: n.cfg.Accepts, Clock: n.now().Unix(),
	}
	if n.admits() == nil {
		reply.Free = n.book.free(sourceOf(from), n.storeFree(), n.now())
	}
	if n.cfg.Donated > 0 {
		if own, err := n.cfg.Net.Envelope(); err == nil {
			reply.Donors = append(reply.Donors, own)
		}
	}
	others := n.donors.fresh(n.now(), from.Peer)
	n.rand.shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	reply.Donors = append(reply.Donors, others[:min(len(others), protocol.MaxInfoDonors-len(reply.Donors))]...)
	return reply, nil
}
