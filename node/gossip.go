package node

import (
	"context"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// Pace of asking other peers for Info.
const (
	gossipFirst = time.Second // between the first rounds; doubled up to Timing.GossipEvery
	infoTimeout = 5 * time.Second
	roundPeers  = 64 // asked in one round
	roundAtOnce = 8
	roundNear   = 4 // neighbours among them
)

// gossipOnce asks peers that are due what they offer, so that this node can
// tell newcomers of nodes that no lookup finds: those behind NAT, and those that
// have just come.
func (n *Node) gossipOnce(ctx context.Context) error {
	due := n.donors.Due(n.cfg.Net.Known(), n.self, n.now())
	n.rand.shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	due = n.fewNeighbours(due)
	return atOnce(roundAtOnce, min(len(due), roundPeers), func(i int) error { n.askInfo(ctx, due[i]); return nil })
}

// fewNeighbours leaves out most neighbours: after a start all are due together. Beats
// show that they are nodes; the first few asked tell of those that came meanwhile.
func (n *Node) fewNeighbours(due []peer.ID) []peer.ID {
	near, begun := 0, n.donors.Count(n.now()) >= roundNear
	return slices.DeleteFunc(due, func(id peer.ID) bool {
		if !n.neighbours.Knows(id) {
			return false
		}
		if begun && !n.donors.Met(id) && n.neighbours.Heard(id) == 0 {
			return true
		}
		near++
		return near > roundNear
	})
}

// greet counts a neighbour that beats as a node: it holds slots of groups, and need
// not be asked. at is the address at which it is seen.
func (n *Node) greet(id peer.ID, at multiaddr.Multiaddr) {
	if n.donors.Met(id) {
		n.donors.Spoke(id, at, n.now())
		return
	}
	env := n.cfg.Net.EnvelopeOf(id)
	rec, err := n.opened.Open(env)
	if err != nil || rec.Peer != id || len(rec.Addrs) == 0 {
		return // a peer that is heard of and not met is asked
	}
	n.donors.Hint(env, rec, n.now())
	n.donors.Greet(id, at, n.now())
}

func (n *Node) askInfo(ctx context.Context, id peer.ID) {
	ctx, cancel := context.WithTimeout(ctx, infoTimeout)
	defer cancel()
	info, err := n.caller.Info(ctx, id)
	if err == nil && info.Network != n.cfg.Network {
		err = protocol.Refuse(protocol.CodeNetwork, "of network %q", info.Network)
	}
	if err != nil {
		n.log.Debug("peer does not tell what it offers", "peer", protocol.ShortPeer(id), "err", err)
		n.donors.Answered(id, nil, nil, false, n.now())
		return
	}
	news := false
	for _, env := range info.Donors {
		news = n.hear(env) || news
	}
	at, _, _ := n.cfg.Net.RemoteAddr(id)
	n.donors.Answered(id, at, info, news, n.now())
}

// hear keeps an envelope as a hint: its peer will be asked itself. It reports
// whether it was news.
func (n *Node) hear(env protocol.Envelope) bool {
	if n.donors.Has(env) {
		return false
	}
	rec, err := n.opened.Open(env)
	if err != nil || rec.Peer == n.self || !n.donors.Hint(env, rec, n.now()) {
		return false
	}
	n.cfg.Net.Learn(rec.Info())
	return true
}
