package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Pace of asking other peers for Info.
const (
	gossipFirst = time.Second // between the first rounds; doubled up to Timing.GossipEvery
	infoTimeout = 5 * time.Second
	roundPeers  = 64 // asked in one round
	roundAtOnce = 8
)

// gossipOnce asks peers that are due what they offer, so that this node can
// tell newcomers of nodes which no lookup finds: those behind NAT, and those
// just come.
func (n *Node) gossipOnce(ctx context.Context) error {
	due := n.donors.due(n.cfg.Net.Known(), n.self, n.now())
	n.rand.shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
	return atOnce(roundAtOnce, min(len(due), roundPeers), func(i int) error { n.askInfo(ctx, due[i]); return nil })
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
		n.donors.answered(id, nil, false, n.now())
		return
	}
	news := false
	for _, env := range info.Donors {
		news = n.hear(env) || news
	}
	n.donors.answered(id, info, news, n.now())
}

// hear keeps an envelope as a hint: its peer will be asked itself. It reports
// whether it was news.
func (n *Node) hear(env protocol.Envelope) bool {
	if n.donors.has(env) {
		return false
	}
	rec, err := n.opened.Open(env)
	if err != nil || rec.Peer == n.self || !n.donors.hint(env, rec, n.now()) {
		return false
	}
	n.cfg.Net.Learn(rec.Info())
	return true
}
