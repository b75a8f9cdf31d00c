package node

import (
	"bytes"
	"context"
	"math/rand/v2"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/donors"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
)

// Info says what this node offers to this asker, and which other nodes it has
// spoken to within a day. Its own envelope comes first among them, so that the
// asker can pass it on.
func (n *Node) Info(_ context.Context, from protocol.Remote, _ *protocol.InfoRequest) (*protocol.InfoReply, error) {
	reply := &protocol.InfoReply{
		Network: n.cfg.Network, Version: protocol.Version, Agent: n.cfg.Agent,
		Donated: n.cfg.Donated, Accepts: n.cfg.Accepts, Clock: n.now().Unix(),
	}
	n.tellContract(reply)
	if n.admits() == nil && n.deal.may(contract.Deed{Kind: contract.NewGroup, Bytes: 1}, n.now()) == nil {
		reply.Free = n.quota.Free(quota.SourceOf(from), n.storeFree(), n.now())
		if reply.Budget > 0 {
			reply.Free = min(reply.Free, reply.Budget) // it has to come in by then
		}
	}
	if n.cfg.Donated > 0 {
		if own, err := n.cfg.Net.Envelope(); err == nil {
			reply.Donors = append(reply.Donors, own)
		}
	}
	var others []donors.Told
	n.rand.with(func(r *rand.Rand) {
		others = n.donors.Tell(protocol.MaxInfoDonors-len(reply.Donors), from.Peer, n.now(), r)
	})
	for _, t := range others {
		reply.Donors = append(reply.Donors, n.latest(t))
	}
	return reply, nil
}

// tellContract tells what the donor's contract leaves.
func (n *Node) tellContract(reply *protocol.InfoReply) {
	s := n.deal.stance()
	reply.Budget, reply.Draining, reply.AwayUntil = n.deal.budget(n.now()), s.Drain != nil, s.AwayUntil(n.now())
}

// latest returns the newest envelope of a node. A node that cannot be dialled
// moves from relay to relay, and it is hours until it is asked again where it
// is; the peers that it is connected to know immediately.
func (n *Node) latest(t donors.Told) protocol.Envelope {
	env := n.cfg.Net.EnvelopeOf(t.Peer)
	if env == nil || bytes.Equal(env, t.Envelope) {
		return t.Envelope
	}
	rec, err := n.opened.Open(env)
	if err != nil || rec.Peer != t.Peer || rec.Seq <= t.Seq || len(rec.Addrs) == 0 {
		return t.Envelope
	}
	n.donors.Hint(env, rec, n.now())
	return env
}
