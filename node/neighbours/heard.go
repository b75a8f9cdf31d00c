package neighbours

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

// Answered notes that a peer answered a message, whatever it said: it lives.
func (h *Register) Answered(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.heard++
		h.touch = h.now()
		p.standing = p.standing.Replied(h.set, h.moment())
		if p.standing.Tries == 0 { // else only a beat tells that its disk is back
			h.plan(p, max(p.next, h.mono()+p.every))
		}
		h.settle(p)
	}
}

// Beaten notes the answer to a beat.
func (h *Register) Beaten(id peer.ID, b *protocol.Beat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.standing = p.standing.Answered(h.set, h.moment(), said(b))
		h.hear(p, b)
		h.settle(p)
	}
}

// Unanswered notes that a peer did not answer a message.
func (h *Register) Unanswered(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.standing = p.standing.Unanswered(h.set, h.moment())
		h.hushed = h.hushed || p.standing.Fails == 1
		h.settle(p)
	}
}

// Told notes a beat that a peer sent of itself. It is no answer: a peer that
// speaks and never answers can give nobody a shard, and must be found gone all
// the same. But it is asked soon if it owes an answer, so that a peer that merely
// could not be reached counts as present as soon as it can be; and also if its disk
// was missing and it no longer says so.
func (h *Register) Told(id peer.ID, b *protocol.Beat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		says := said(b)
		p.standing = p.standing.Told(h.set, h.moment(), says)
		h.hear(p, b)
		if p.standing.Fails > 0 || p.standing.Tries > 0 && says.SuspendedFor <= 0 {
			h.askSoon(p)
		}
	}
}

// Spoke notes that a peer asked something: like Told, without a beat.
func (h *Register) Spoke(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil && p.standing.Fails > 0 {
		h.askSoon(p)
	}
}

// askSoon brings the next beat to a neighbour forward: to now, though no more
// often than a few times for each retry. mu is held.
func (h *Register) askSoon(p *neighbour) {
	mono := h.mono()
	if p.busy || mono-p.asked < h.set.RetryEvery/seenPart && p.asked > 0 {
		return
	}
	p.asked = mono
	h.plan(p, mono)
	h.rouse(h.Wake)
}

// seenPart is how many beats may be brought forward within RetryEvery.
const seenPart = 60

func said(b *protocol.Beat) liveness.Said {
	return liveness.Said{AwayFor: until(b.AwayUntil, b.Clock), SuspendedFor: until(b.SuspendedUntil, b.Clock)}
}

// until returns the time from one Unix second to a later one, at most a year:
// no claim reaches as far.
func until(end, begin int64) time.Duration {
	const most = 365 * 24 * 60 * 60
	return time.Duration(min(max(end-begin, 0), most)) * time.Second
}

// hear takes what a beat says besides the claims. Its clock is noted against the
// watch: what was heard before this node's own clock stepped stays right. mu is
// held.
func (h *Register) hear(p *neighbour, b *protocol.Beat) {
	now := h.now().Unix()
	skew := min(max(b.Clock-now, -maxSkew), maxSkew)
	p.offset, p.timed = now+skew-int64(h.watch.Now/time.Second), true
	p.draining = b.Draining
}

// maxSkew bounds in seconds by how much a clock is told to be wrong: a century.
const maxSkew = 100 * 365 * 24 * 60 * 60

// settle draws the consequences of a neighbour's standing. mu is held.
func (h *Register) settle(p *neighbour) {
	p.state = p.standing.State(h.set)
	switch {
	case p.state == liveness.Gone:
		p.silent = true
		for _, g := range p.shared {
			h.loseAll(g, p, LostGone)
		}
	case p.state != liveness.Present:
		p.silent = true
	case p.silent && p.standing.Fails == 0:
		p.silent = false
		if len(h.back) < len(h.peers) {
			h.back = append(h.back, p.id)
		}
		h.rouse(h.Wake)
	}
	switch {
	case p.state == liveness.Gone:
		p.parted = true
		h.doubt(p)
	case p.parted && p.standing.Fails == 0 && p.standing.Heard:
		p.parted = false
		h.returned = append(h.returned, p.id)
	}
}

// TakeReturned returns the neighbours that have answered again since the last
// call, after they or this node had been gone.
func (h *Register) TakeReturned() []peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.returned
	h.returned = nil
	return out
}

// Touched returns when some neighbour last answered.
func (h *Register) Touched() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.touch
}

// SetTouch begins to count from now, and returns from when it counted before.
func (h *Register) SetTouch(now time.Time) (before time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, h.touch = h.touch, now
	return before
}

// TakeBack returns the neighbours that have answered again after an absence
// since the last call.
func (h *Register) TakeBack() []peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	back := h.back
	h.back = nil
	return back
}

// Heard returns how often a peer has answered: if the number is another later, it
// has answered meanwhile.
func (h *Register) Heard(id peer.ID) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		return p.heard
	}
	return 0
}
