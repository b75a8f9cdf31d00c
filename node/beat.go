package node

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

const (
	// beatTimeout is how long a neighbour has to answer a beat, dialling it
	// included.
	beatTimeout = 15 * time.Second
	// beatsAtOnce bounds the beats that wait for answers.
	beatsAtOnce = 16
	// learnsFrom is in how many groups a neighbour's addresses are looked for
	// before a beat; before the next one, in others.
	learnsFrom = 4
)

// Beat answers a neighbour's sign of life with this node's own. What it says of
// itself is noted; that it spoke is no answer (neighbours.Told).
func (n *Node) Beat(ctx context.Context, from protocol.Remote, r *protocol.BeatRequest) (*protocol.BeatReply, error) {
	n.neighbours.Told(from.Peer, &r.Beat)
	if n.neighbours.Knows(from.Peer) {
		n.greet(from.Peer, from.Addr)
	}
	n.takeRenewals(ctx, from, r.Renewals)
	return &protocol.BeatReply{Beat: n.beatFor(from.Peer)}, nil
}

// beatFor is this node's beat for a neighbour.
func (n *Node) beatFor(id peer.ID) protocol.Beat {
	b := n.ownBeat()
	b.Renewals = append(b.Renewals, n.neighbours.RenewalsFor(id)...)
	return b
}

// beatOnce asks the neighbours that are due, and returns when the next one is.
func (n *Node) beatOnce(ctx context.Context) (wait time.Duration, err error) {
	due, wait := n.neighbours.BeatsDue(n.rand.float)
	return wait, atOnce(beatsAtOnce, len(due), func(i int) error {
		n.beat(ctx, due[i])
		n.neighbours.BeatDone(due[i], n.rand.float())
		return nil
	})
}

// beat asks one neighbour. Any answer counts, a refusal, too; what is in it,
// only where it can be read.
func (n *Node) beat(ctx context.Context, id peer.ID) {
	before := n.neighbours.Heard(id)
	b, err := n.askBeat(ctx, id)
	if errors.Is(err, protocol.ErrUnreachable) && n.learnMember(ctx, id) {
		b, err = n.askBeat(ctx, id)
	}
	switch {
	case err == nil:
		n.neighbours.Beaten(id, &b.Beat)
		addr, _, _ := n.cfg.Net.RemoteAddr(id)
		n.neighbours.Place(id, addr)
		n.greet(id, addr)
		n.takeRenewals(ctx, protocol.Remote{Peer: id, Addr: addr}, b.Renewals)
	case n.neighbours.Heard(id) != before:
	case ctx.Err() == nil:
		n.log.Debug("a neighbour does not answer", "peer", protocol.ShortPeer(id), "err", err)
		n.neighbours.Unanswered(id)
	}
}

func (n *Node) askBeat(ctx context.Context, id peer.ID) (*protocol.BeatReply, error) {
	ctx, cancel := context.WithTimeout(ctx, beatTimeout)
	defer cancel()
	return n.caller.Beat(ctx, id, &protocol.BeatRequest{Beat: n.beatFor(id)})
}

// learnMember tells the network the addresses that a neighbour's newest
// envelope names, from the facts of a few groups that it shares; it reports
// whether they have not been tried yet.
func (n *Node) learnMember(ctx context.Context, id peer.ID) bool {
	shared := n.neighbours.GroupsWith(id)
	n.rand.shuffle(len(shared), func(i, j int) { shared[i], shared[j] = shared[j], shared[i] })
	for _, gid := range shared[:min(len(shared), learnsFrom)] {
		if rec, ok := n.storedEnvelope(ctx, gid, id); ok {
			n.cfg.Net.Learn(rec.Info())
			return n.neighbours.Newer(id, rec.Seq)
		}
	}
	return false
}

// storedEnvelope returns the newest envelope with addresses of a peer among a
// group's facts in the store. It does not load the group, which would
// read every grant, because many neighbours may be out of reach at a time; the
// network already knows envelopes that are not durable yet.
func (n *Node) storedEnvelope(ctx context.Context, gid protocol.GroupID, id peer.ID) (newest protocol.PeerRecord, ok bool) {
	for info, err := range n.store.FactInfos(ctx, gid) {
		if err != nil {
			return newest, false
		}
		if protocol.FactKind(info.Kind) != protocol.FactEnvelope {
			continue
		}
		f, err := n.store.Fact(ctx, gid, info.ID)
		if err != nil {
			continue
		}
		rec, err := n.opened.Open(f.Bytes)
		if err == nil && rec.Peer == id && len(rec.Addrs) > 0 && (!ok || rec.Seq > newest.Seq) {
			newest, ok = rec, true
		}
	}
	return newest, ok
}

// takeRenewals takes renewals into the truth of groups that are held here and in
// which their sender has a place. They prove themselves; one that does not is no news.
func (n *Node) takeRenewals(ctx context.Context, from protocol.Remote, list []protocol.GroupRenewal) {
	for _, r := range list {
		if at, err := protocol.RenewalDate(r.Renewal); err != nil || at <= n.leases.last(r.Group) || !n.neighbours.Sits(r.Group, from.Peer) {
			continue // no group is read for that
		}
		if err := n.takeRenewal(ctx, from, r); err != nil {
			n.log.Debug("a renewal is not taken", "group", r.Group.Prefix(), "peer", protocol.ShortPeer(from.Peer), "err", err)
		}
	}
}

func (n *Node) takeRenewal(ctx context.Context, from protocol.Remote, r protocol.GroupRenewal) error {
	if !n.groups.Has(r.Group) && !n.gate.TryLoad(from, n.neighbours.Segments(r.Group)) {
		return protocol.Refuse(protocol.CodeUnavailable, "too many groups at once") // beats wait for nothing
	}
	f := protocol.Fact{Kind: protocol.FactRenewal, Bytes: r.Renewal}
	g, release, err := n.groups.OpenTurn(ctx, r.Group)
	if err != nil {
		return err
	}
	defer release()
	if g.Knows(f.ID()) {
		return nil
	}
	codes, err := n.keepOffer(ctx, from, g, []protocol.Fact{f})
	if err == nil && codes[0] != 0 {
		err = protocol.Refuse(codes[0], "renewal")
	}
	return err
}

// beatLoop keeps in touch with the neighbours.
func (n *Node) beatLoop(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := n.beatOnce(ctx)
		if err != nil {
			n.log.Warn("asking neighbours", "err", err)
		}
		if !pause(ctx, wait, n.neighbours.Wake) {
			return
		}
	}
}
