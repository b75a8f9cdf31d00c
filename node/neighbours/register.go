package neighbours

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/fair"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Register is what this node itself has seen of the peers that it shares
// groups with, and which of them it believes to hold which slot (seats.go). It
// stays in memory when the groups' facts do not: some 300 bytes a neighbour and
// 100 a seat. What one peer says about another never enters.
type Register struct {
	self  peer.ID
	key   group.Key // of self
	set   *liveness.Settings
	audit *audit.Settings
	now   func() time.Time
	mono  func() time.Duration

	Wake      chan struct{} // somebody is to be beaten now
	AuditWake chan struct{} // somebody is to be audited now

	mu      sync.Mutex // guards what follows, and all neighbours and seats
	watch   liveness.Watch
	places  uint64 // changes with each neighbour's address
	privacy struct {
		places uint64
		is     bool // what private said of these places
	}
	peers     map[peer.ID]*neighbour
	beats     beatQueue
	enrolled  int // of peers, those that hold slots, or have held some
	groups    map[protocol.GroupID]*seats
	shifted   map[protocol.GroupID]struct{} // groups whose holders have changed, until taken
	lacks     fair.Counts[*seats]           // how much is noted of what holders and this node lack, by group
	back      []peer.ID                     // answered again after an absence, until taken
	returned  []peer.ID                     // answered again after they, or this node, were gone, until taken
	count     liveness.Census
	domains   map[group.Domain]domain // of the members, when they were last counted
	countedAt time.Duration           // by mono
	counted   bool
	hushed    bool // a neighbour has fallen silent since

	touch   time.Time // when some neighbour last answered; of a new node its start
	running bool      // the watch is read: no note can change it any more
}

// neighbour is one peer that shares groups with this node.
type neighbour struct {
	id       peer.ID
	standing liveness.Standing
	state    liveness.State // what the standing last said
	shared   []*seats       // in order of group IDs
	member   bool           // it has held a slot here, and does not only ask for one

	next   time.Duration // of the next beat, by mono
	every  time.Duration // from the last answer until then
	busy   bool          // a beat is under way
	queued int           // its place in neighbours.beats; -1: none
	asked  time.Duration // of the last beat brought forward, by mono
	heard  uint32        // answers so far
	saved  liveness.Standing
	silent bool // it has been found absent or worse since it last answered
	parted bool // it was gone, or this node was off for as long: it may no longer count this node's seats

	vain     uint64     // number of the envelope at whose addresses it was last tried in vain
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

// New returns an empty Register of a node. now is the wall clock, mono a clock that
// no step of that moves.
func New(self peer.ID, set *liveness.Settings, audits *audit.Settings, now func() time.Time, mono func() time.Duration) *Register {
	return &Register{
		self: self, key: group.KeyOf(self), set: set, audit: audits, now: now, mono: mono,
		Wake: make(chan struct{}, 1), AuditWake: make(chan struct{}, 1),
		peers: make(map[peer.ID]*neighbour), groups: make(map[protocol.GroupID]*seats),
		shifted: make(map[protocol.GroupID]struct{}), domains: make(map[group.Domain]domain),
	}
}

// moment reads the watch. mu is held.
func (h *Register) moment() time.Duration {
	h.watch = h.watch.Read(h.set, h.mono(), h.now(), h.census().CutOff())
	return h.watch.Now
}

// meet returns a peer's entry, made if it is new. mu is held.
func (h *Register) meet(id peer.ID) *neighbour {
	p := h.peers[id]
	if p == nil {
		p = &neighbour{id: id, key: group.KeyOf(id), queued: -1}
		h.peers[id] = p
		h.plan(p, h.mono())
	}
	return p
}

func (h *Register) rouse(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Place notes at which address a neighbour is seen.
func (h *Register) Place(id peer.ID, m multiaddr.Multiaddr) {
	if m == nil {
		return
	}
	addr, relay := group.Observed(m)
	h.mu.Lock()
	defer h.mu.Unlock()
	if p := h.peers[id]; p != nil && (p.addr != addr || p.relay != relay) {
		p.addr, p.relay = addr, relay
		h.places++
		for _, g := range p.shared {
			g.crowd.known = false
		}
	}
}

// candidate returns a neighbour as package group's rules on domains see it. mu is
// held.
func (p *neighbour) candidate() group.Candidate {
	return group.Candidate{Peer: p.id, Addr: p.addr, Relay: p.relay}
}

// private reports whether all neighbours whose addresses are known have
// private ones: then each peer is its own failure domain. mu is held.
func (h *Register) private() bool {
	if h.privacy.places != h.places {
		h.privacy.places, h.privacy.is = h.places, h.allPrivate()
	}
	return h.privacy.is
}

// IsPrivate is private for callers that do not hold mu.
func (h *Register) IsPrivate() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.private()
}

func (h *Register) allPrivate() bool {
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

// States counts the neighbours by their states.
func (h *Register) States() (n [liveness.Gone + 1]int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, p := range h.peers {
		n[p.state]++
	}
	return n
}

// Knows reports whether this node shares a group with a peer, or is asked by it for
// a slot that is to be had.
func (h *Register) Knows(id peer.ID) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[id]
	return p != nil && (p.member || slices.ContainsFunc(p.shared, func(g *seats) bool { return !g.of(id).stranger() }))
}

// GroupsWith returns the groups that this node shares with a peer.
func (h *Register) GroupsWith(id peer.ID) []protocol.GroupID {
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

// Now returns this moment on the watch.
func (h *Register) Now() time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.moment()
}
