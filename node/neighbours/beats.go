package neighbours

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// Newer reports whether a neighbour's envelope, by its number, is another than
// the one at whose addresses it was last tried in vain, and remembers this one
// as that.
func (h *Register) Newer(id peer.ID, seq uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	if p == nil || p.vain == seq {
		return false
	}
	p.vain = seq
	return true
}

// Renewed notes a renewal that is news here, to be told with the next beats.
func (h *Register) Renewed(id protocol.GroupID, renewal []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if g := h.groups[id]; g != nil {
		g.renewal, g.renewedAt = renewal, h.mono()
	}
}

// renewalsTold is for how many times BeatEvery beats carry a renewal that is news
// here.
const renewalsTold = 2

// RenewalsFor returns the renewals that are news, of groups shared with a peer.
func (h *Register) RenewalsFor(id peer.ID) (out []protocol.GroupRenewal) {
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

// BeatsDue returns the neighbours to beat now, the longest due first, and marks
// them busy; where none is due, it returns in what time the next is. A node most
// of whose messages of the last hour failed asks all neighbours soon, to see
// whether it is cut off.
func (h *Register) BeatsDue(u func() float64) (due []peer.ID, wait time.Duration) {
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

// BeatDone plans a neighbour's next beat.
func (h *Register) BeatDone(id peer.ID, u float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.busy = false
		mono := h.mono()
		h.plan(p, liveness.NextBeat(h.set, p.standing, mono, h.pace(p), u))
		p.every = p.next - mono
	}
}
