package node

import (
	"cmp"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// neighbours is what this node itself has seen of the peers that it shares
// groups with, and whom it believes to hold which slot (seats.go). It stays in
// memory when the groups' facts do not: some 300 bytes a neighbour and 100 a
// seat. Nobody's word about a third enters.
type neighbours struct {
	self  peer.ID
	key   group.Key // of self
	set   *liveness.Settings
	audit *audit.Settings
	now   func() time.Time
	mono  func() time.Duration

	wake      chan struct{} // somebody is to be beaten at once
	auditWake chan struct{} // somebody is to be audited at once

	mu        sync.Mutex // guards what follows, and all neighbours and seats
	watch     liveness.Watch
	peers     map[peer.ID]*neighbour
	groups    map[protocol.GroupID]*seats
	shifted   map[protocol.GroupID]struct{} // groups whose holders have changed, till taken
	back      []peer.ID                     // answered again after an absence, till taken
	returned  []peer.ID                     // answered again after they, or this node, were gone, till taken
	count     liveness.Census
	countedAt time.Duration // by mono
	counted   bool

	touch   time.Time // when some neighbour last answered; of a new node its start
	running bool      // the watch is read: no note can change it any more
}

// neighbour is one peer that shares groups with this node.
type neighbour struct {
	id       peer.ID
	standing liveness.Standing
	state    liveness.State // what the standing last said
	shared   []*seats       // in order of group IDs

	next   time.Duration // of the next beat, by mono
	every  time.Duration // from the last answer till then
	busy   bool          // a beat is under way
	asked  time.Duration // of the last beat brought forward, by mono
	heard  uint32        // answers so far
	saved  liveness.Standing
	silent bool // it has been found absent or worse since it last answered
	parted bool // it was gone, or this node was off for as long: it may have taken this node's seats

	addr     netip.Addr // as seen when it last answered; of its relay, if there is one
	relay    peer.ID
	offset   int64 // its clock less this node's watch, in seconds, where timed
	timed    bool
	draining bool

	key        group.Key
	proved     bool          // it has passed an audit of this node's, in some group
	sampled    bool          // nextSample is set
	nextSample time.Duration // on the watch
	extra      audit.Extra   // what this node owes it as a holder
}

func newNeighbours(self peer.ID, t *Timing, now func() time.Time, mono func() time.Duration) *neighbours {
	return &neighbours{
		self: self, key: group.KeyOf(self), set: &t.Liveness, audit: &t.Audit, now: now, mono: mono,
		wake: make(chan struct{}, 1), auditWake: make(chan struct{}, 1),
		peers: make(map[peer.ID]*neighbour), groups: make(map[protocol.GroupID]*seats),
		shifted: make(map[protocol.GroupID]struct{}),
	}
}

// moment reads the watch. mu is held.
func (h *neighbours) moment() time.Duration {
	h.watch = h.watch.Read(h.set, h.mono(), h.now(), h.census().CutOff())
	return h.watch.Now
}

// census counts the neighbours as they stood a little while ago at most. mu is
// held.
func (h *neighbours) census() liveness.Census {
	mono := h.mono()
	if h.counted && mono-h.countedAt < h.set.RetryEvery/60 && mono >= h.countedAt {
		return h.count
	}
	h.count = liveness.Census{}
	for _, p := range h.peers {
		h.count = h.count.Add(h.set, p.standing, h.watch.Now)
	}
	h.counted, h.countedAt = true, mono
	return h.count
}

// meet returns a peer's entry, made if it is new. mu is held.
func (h *neighbours) meet(id peer.ID) *neighbour {
	p := h.peers[id]
	if p == nil {
		p = &neighbour{id: id, key: group.KeyOf(id), next: h.mono()}
		h.peers[id] = p
	}
	return p
}

// answered notes that a peer answered a message, whatever it said: it lives.
func (h *neighbours) answered(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.heard++
		h.touch = h.now()
		p.next = max(p.next, h.mono()+p.every)
		p.standing = p.standing.Replied(h.set, h.moment())
		h.settle(p)
	}
}

// beaten notes the answer to a beat.
func (h *neighbours) beaten(id peer.ID, b *protocol.Beat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.standing = p.standing.Answered(h.set, h.moment(), said(b))
		h.hear(p, b)
		h.settle(p)
	}
}

// unanswered notes that a peer did not answer a message.
func (h *neighbours) unanswered(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.standing = p.standing.Unanswered(h.set, h.moment())
		h.settle(p)
	}
}

// told notes a beat that a peer sent of itself. It is no answer: a peer that
// speaks and never answers can give nobody a shard, and must be found gone all
// the same. But it is asked at once, if it owes an answer, so that one that
// only could not be reached is found back as soon as it can.
func (h *neighbours) told(id peer.ID, b *protocol.Beat) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.standing = p.standing.Told(h.set, h.moment(), said(b))
		h.hear(p, b)
		h.seen(p)
	}
}

// spoke notes that a peer asked something: as told, without its words.
func (h *neighbours) spoke(id peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		h.seen(p)
	}
}

// seen brings the next beat forward for a neighbour that owes an answer and
// shows life: to now, though no more often than a few times for each retry.
// mu is held.
func (h *neighbours) seen(p *neighbour) {
	mono := h.mono()
	if p.standing.Fails == 0 || p.busy || mono-p.asked < h.set.RetryEvery/seenPart && p.asked > 0 {
		return
	}
	p.asked, p.next = mono, mono
	h.rouse(h.wake)
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

// hear takes what a beat says beside the claims. Its clock is noted against the
// watch: what was heard before this node's own clock stepped stays right. mu is
// held.
func (h *neighbours) hear(p *neighbour, b *protocol.Beat) {
	now := h.now().Unix()
	skew := min(max(b.Clock-now, -maxSkew), maxSkew)
	p.offset, p.timed = now+skew-int64(h.watch.Now/time.Second), true
	p.draining = b.Draining
}

// maxSkew bounds in seconds by how much a clock is told to be wrong: a century.
const maxSkew = 100 * 365 * 24 * 60 * 60

// settle draws what follows from a neighbour's standing. mu is held.
func (h *neighbours) settle(p *neighbour) {
	p.state = p.standing.State(h.set)
	switch {
	case p.state == liveness.Gone:
		p.silent = true
		for _, g := range p.shared {
			h.loseAll(g, p, lostGone)
		}
	case p.state != liveness.Present:
		p.silent = true
	case p.silent && p.standing.Fails == 0:
		p.silent = false
		if len(h.back) < len(h.peers) {
			h.back = append(h.back, p.id)
		}
		h.rouse(h.wake)
	}
	switch {
	case p.state == liveness.Gone:
		p.parted = true
	case p.parted && p.standing.Fails == 0 && p.standing.Heard:
		p.parted = false
		h.returned = append(h.returned, p.id)
	}
}

// takeReturned returns the neighbours that answer again since this was last
// asked, after they, or this node, were gone.
func (h *neighbours) takeReturned() []peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := h.returned
	h.returned = nil
	return out
}

func (h *neighbours) rouse(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// touched returns when some neighbour last answered.
func (h *neighbours) touched() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.touch
}

// setTouch begins to count from now, and returns from when it counted before.
func (h *neighbours) setTouch(now time.Time) (before time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	before, h.touch = h.touch, now
	return before
}

// takeBack returns the neighbours that answered again after an absence since
// this was last asked.
func (h *neighbours) takeBack() []peer.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	back := h.back
	h.back = nil
	return back
}

// place notes at which address a neighbour is seen.
func (h *neighbours) place(id peer.ID, m multiaddr.Multiaddr) {
	if m == nil {
		return
	}
	addr, relay := group.Observed(m)
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.addr, p.relay = addr, relay
	}
}

// candidate tells a neighbour as group's rules on domains see it. mu is held.
func (p *neighbour) candidate() group.Candidate {
	return group.Candidate{Peer: p.id, Addr: p.addr, Relay: p.relay}
}

// private reports whether all neighbours whose addresses are known have
// private ones: then each peer is its own failure domain. mu is held.
func (h *neighbours) private() bool {
	known := false
	for _, p := range h.peers {
		if p.addr.IsValid() {
			if !group.IsPrivate(p.addr) {
				return false
			}
			known = true
		}
	}
	return known
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
	var list []*neighbour
	for _, p := range h.peers {
		if probe && p.standing.Fails == 0 {
			p.next = min(p.next, mono+time.Duration(u()*float64(h.set.ProbeWithin/4)))
		}
		switch {
		case p.busy:
		case p.next <= mono:
			list = append(list, p)
		default:
			wait = min(wait, p.next-mono)
		}
	}
	slices.SortFunc(list, func(a, b *neighbour) int { return cmp.Compare(a.next, b.next) })
	for _, p := range list[:min(len(list), maxRound)] {
		p.busy = true
		due = append(due, p.id)
	}
	if len(list) > 0 {
		wait = 0
	}
	return due, wait
}

// maxRound is how many neighbours one round of beats asks at most.
const maxRound = 512

// beatDone plans a neighbour's next beat.
func (h *neighbours) beatDone(id peer.ID, u float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		p.busy = false
		p.next = liveness.NextBeat(h.set, p.standing, h.mono(), len(h.peers), u)
		p.every = p.next - h.mono()
	}
}

// heard returns how often a peer has answered: another number later means that
// it has meanwhile.
func (h *neighbours) heard(id peer.ID) uint32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil {
		return p.heard
	}
	return 0
}

// cutOff reports whether this node is probably cut off from the world: then it
// judges nobody, and begins no repair.
func (h *neighbours) cutOff() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.census().CutOff()
}

// clocks tells the median of the clocks of the neighbours that are present, as
// it is now (zero: none was heard), and how many these are; and whether this
// node's clock has made a step within d.
func (h *neighbours) clocks(d time.Duration) (median time.Time, heard int, stepped bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.moment()
	var all []int64
	for _, p := range h.peers {
		if p.timed && p.state == liveness.Present {
			all = append(all, p.offset)
		}
	}
	if offset, ok := group.MedianOffset(all); ok {
		median = time.Unix(int64(at/time.Second)+offset, 0)
	}
	return median, len(all), h.watch.Stepped(d)
}

// states counts the neighbours by their states.
func (h *neighbours) states() (n [liveness.Gone + 1]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.peers {
		n[p.state]++
	}
	return n
}

// knows reports whether this node shares a group with a peer.
func (h *neighbours) knows(id peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	return p != nil && len(p.shared) > 0
}

// groupsWith returns the groups that this node shares with a peer.
func (h *neighbours) groupsWith(id peer.ID) []protocol.GroupID {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	if p == nil {
		return nil
	}
	out := make([]protocol.GroupID, len(p.shared))
	for i, g := range p.shared {
		out[i] = g.id
	}
	return out
}
