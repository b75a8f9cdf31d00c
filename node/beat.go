package node

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
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
// itself is taken down; that it spoke is no answer (neighbours.told).
func (n *Node) Beat(ctx context.Context, from protocol.Remote, r *protocol.BeatRequest) (*protocol.BeatReply, error) {
	n.neighbours.told(from.Peer, &r.Beat)
	if n.neighbours.knows(from.Peer) {
		n.greet(from.Peer)
	}
	n.takeRenewals(ctx, from, r.Renewals)
	return &protocol.BeatReply{Beat: n.beatFor(from.Peer)}, nil
}

// beatFor is this node's beat for a neighbour.
func (n *Node) beatFor(id peer.ID) protocol.Beat {
	b := n.ownBeat()
	b.Renewals = append(b.Renewals, n.neighbours.renewalsFor(id)...)
	return b
}

// beatOnce asks the neighbours that are due, and returns when the next one is.
func (n *Node) beatOnce(ctx context.Context) (wait time.Duration, err error) {
	due, wait := n.neighbours.beatsDue(n.rand.float)
	return wait, atOnce(beatsAtOnce, len(due), func(i int) error {
		n.beat(ctx, due[i])
		n.neighbours.beatDone(due[i], n.rand.float())
		return nil
	})
}

// beat asks one neighbour. Any answer counts, a refusal, too; what is in it,
// only where it can be read.
func (n *Node) beat(ctx context.Context, id peer.ID) {
	before := n.neighbours.heard(id)
	b, err := n.askBeat(ctx, id)
	if errors.Is(err, protocol.ErrUnreachable) && n.learnMember(ctx, id) {
		b, err = n.askBeat(ctx, id)
	}
	switch {
	case err == nil:
		n.neighbours.beaten(id, &b.Beat)
		addr, _, _ := n.cfg.Net.RemoteAddr(id)
		n.neighbours.place(id, addr)
		n.greet(id)
		n.takeRenewals(ctx, protocol.Remote{Peer: id, Addr: addr}, b.Renewals)
	case n.neighbours.heard(id) != before:
	case ctx.Err() == nil:
		n.log.Debug("a neighbour does not answer", "peer", protocol.ShortPeer(id), "err", err)
		n.neighbours.unanswered(id)
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
	shared := n.neighbours.groupsWith(id)
	n.rand.shuffle(len(shared), func(i, j int) { shared[i], shared[j] = shared[j], shared[i] })
	for _, gid := range shared[:min(len(shared), learnsFrom)] {
		if rec, ok := n.storedEnvelope(ctx, gid, id); ok {
			n.cfg.Net.Learn(rec.Info())
			return n.neighbours.newer(id, rec.Seq)
		}
	}
	return false
}

// newer reports whether an envelope of a neighbour is newer than that at whose
// addresses it was last tried in vain, which it becomes.
func (h *neighbours) newer(id peer.ID, seq uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	if p == nil || p.vain == seq {
		return false
	}
	p.vain = seq
	return true
}

// storedEnvelope returns the newest envelope with addresses of a peer among a
// group's facts in the store. It does not load the group, which would
// read every grant, for many neighbours may be out of reach at a time; what is
// not durable yet, the network knows already.
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

// takeRenewals takes renewals into the truth of groups that are held here. They
// prove themselves; one that does not is no news.
func (n *Node) takeRenewals(ctx context.Context, from protocol.Remote, list []protocol.GroupRenewal) {
	for _, r := range list {
		if _, _, held := n.neighbours.slotsOf(r.Group); !held {
			continue
		}
		if err := n.takeRenewal(ctx, from, r); err != nil {
			n.log.Debug("a renewal is not taken", "group", r.Group.Prefix(), "peer", protocol.ShortPeer(from.Peer), "err", err)
		}
	}
}

func (n *Node) takeRenewal(ctx context.Context, from protocol.Remote, r protocol.GroupRenewal) error {
	f := protocol.Fact{Kind: protocol.FactRenewal, Bytes: r.Renewal}
	g, release, err := n.groups.openTurn(ctx, r.Group)
	if err != nil {
		return err
	}
	defer release()
	if g.knows(f.ID()) {
		return nil
	}
	codes, err := n.keepOffer(ctx, from, g, []protocol.Fact{f})
	if err == nil && codes[0] != 0 {
		err = protocol.Refuse(codes[0], "renewal")
	}
	return err
}

// renewed notes a renewal that is news here, to be told with the next beats.
func (h *neighbours) renewed(id protocol.GroupID, renewal []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		g.renewal, g.renewedAt = renewal, h.mono()
	}
}

// renewalsTold is how many beats to each neighbour carry a renewal that is news
// here, as a time.
const renewalsTold = 2

// renewalsFor returns what renewals are news of groups shared with a peer.
func (h *neighbours) renewalsFor(id peer.ID) (out []protocol.GroupRenewal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	if p == nil {
		return nil
	}
	mono := h.mono()
	for _, g := range p.shared {
		if g.renewal != nil && mono-g.renewedAt > renewalsTold*h.set.BeatEvery {
			g.renewal = nil
		}
		if g.renewal != nil && len(out) < protocol.MaxBeatRenewals {
			out = append(out, protocol.GroupRenewal{Group: g.id, Renewal: g.renewal})
		}
	}
	return out
}

// beatLoop keeps in touch with the neighbours.
func (n *Node) beatLoop(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := n.beatOnce(ctx)
		if err != nil {
			n.log.Warn("asking neighbours", "err", err)
		}
		if !pause(ctx, wait, n.neighbours.wake) {
			return
		}
	}
}

// beatsDue returns whom to beat now, the longest due first, and marks them; in
// what time the next one is due where none is. A node most of whose messages
// of the last hour failed asks all at once, to see whether it is cut off.
func (h *neighbours) beatsDue(u func() float64) (due []peer.ID, wait time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.moment()
	mono, wait := h.mono(), h.set.RetryEvery
	probe := h.census().Probe()
	if probe {
		for _, p := range h.peers {
			if liveness.Probed(h.set, p.standing, h.watch.Now) {
				h.plan(p, min(p.next, mono+time.Duration(u()*float64(h.set.ProbeWithin/4))))
			}
		}
	}
	for len(due) < maxRound {
		p := h.nextDue(mono)
		if p == nil {
			break
		}
		p.busy = true
		due = append(due, p.id)
	}
	if len(due) > 0 {
		return due, 0
	}
	if len(h.beats) > 0 {
		wait = min(wait, h.beats[0].next-mono)
	}
	return nil, wait
}

// maxRound is how many neighbours one round of beats asks at most.
const maxRound = 512

// beatDone plans a neighbour's next beat.
func (h *neighbours) beatDone(id peer.ID, u float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.busy = false
		mono := h.mono()
		h.plan(p, liveness.NextBeat(h.set, p.standing, mono, h.enrolled, u))
		p.every = p.next - mono
	}
}
