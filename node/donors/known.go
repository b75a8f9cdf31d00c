package donors

import (
	"bytes"
	"hash/maphash"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Bounds of getting to know other nodes.
const (
	freshFor    = 24 * time.Hour  // others are told of a node spoken to within this
	askFirst    = 5 * time.Second // until a peer is asked again; doubled each time, up to
	askAgain    = 12 * time.Hour  // for a node: so it stays fresh, even if nothing else is heard from it
	askSettled  = time.Minute     // from which on a node that has told nothing new is asked only when it is quiet
	askAnyway   = 3 * freshFor    // until it is asked all the same
	askStranger = time.Hour       // until one that is no node, as yet, is asked again
	maxDonors   = 4096            // peers remembered
	maxOthers   = maxDonors / 4   // of these, places that peers that are no nodes may take from nodes
)

// Known remembers which peers are nodes: neighbours that beat, and peers that
// themselves answered Info with donated bytes. What others tell of a peer is a hint.
type Known struct {
	mu     sync.Mutex
	peers  map[peer.ID]*donor
	nodes  *pool // by where a connection showed them last
	others *pool // that never answered, or donate nothing; by where they say that they are, unless they were seen
	seed   maphash.Seed
	sums   map[uint64]struct{} // of the peers' newest envelopes
}

type donor struct {
	id       peer.ID
	envelope protocol.Envelope // newest known; empty: none
	seq      uint64
	sum      uint64        // of the envelope
	node     bool          // it beats, or answered with donated bytes
	spoken   time.Time     // last time it answered or asked; zero: never
	asked    int           // answers (above zero) or failures (below) in a row
	every    time.Duration // from the last question, or greeting, to next; 0: there was none
	next     time.Time     // not to be asked before
	heard    time.Time     // last sign of it, by itself or by others

	seen    group.Domain // of its last connection's address; zero: none was seen
	claimed group.Domain // by its envelope
	pool    *pool        // in which it is
	crowd   *crowd
	at      int // its place in the crowd
}

// New returns a Known that knows nobody.
func New() *Known {
	return &Known{peers: make(map[peer.ID]*donor), nodes: newPool(), others: newPool(), seed: maphash.MakeSeed(), sums: make(map[uint64]struct{})}
}

// entry returns a peer's entry, made if it is new. mu is held.
func (d *Known) entry(id peer.ID, now time.Time) *donor {
	e := d.peers[id]
	if e == nil {
		if len(d.peers) >= maxDonors {
			d.makeRoom()
		}
		e = &donor{id: id}
		d.peers[id] = e
	}
	e.heard = now
	d.lodge(e)
	return e
}

// makeRoom drops a peer: one that is no node if there are maxOthers of these, or no
// nodes; else a node. Anybody can make this node hear of peers that do not exist;
// but if nodes took all its places, it would ask no newcomer.
// mu is held.
func (d *Known) makeRoom() {
	e := d.nodes.first()
	if e == nil || d.others.size >= maxOthers {
		e = d.others.first()
	}
	d.drop(e)
}

// lodge puts a peer where it belongs by what is known of it. mu is held.
func (d *Known) lodge(e *donor) {
	in, domain := d.others, e.seen
	switch {
	case e.node: // its own claim is worth nothing next to the addresses that connections show
		in = d.nodes
	case domain == group.Domain{}:
		domain = e.claimed
	}
	if e.pool == in && e.crowd.domain == domain {
		in.touch(e)
		return
	}
	if e.pool != nil {
		e.pool.remove(e)
	}
	in.add(e, domain)
}

// see notes at which address a connection shows a peer. mu is held.
func (e *donor) see(at multiaddr.Multiaddr) {
	if domain := domainOf(at); domain != (group.Domain{}) {
		e.seen = domain
	}
}

// drop forgets a peer. mu is held.
func (d *Known) drop(e *donor) {
	delete(d.peers, e.id)
	delete(d.sums, e.sum)
	e.pool.remove(e)
}

// Hint keeps an envelope that somebody told of; it reports whether it is news.
func (d *Known) Hint(env protocol.Envelope, rec protocol.PeerRecord, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entry(rec.Peer, now)
	if len(e.envelope) > 0 && rec.Seq <= e.seq {
		return false
	}
	delete(d.sums, e.sum)
	e.envelope, e.seq, e.sum = bytes.Clone(env), rec.Seq, maphash.Bytes(d.seed, env)
	d.sums[e.sum] = struct{}{}
	if e.spoken.IsZero() {
		e.next = time.Time{} // a new address may answer where the old did not
	}
	e.claimed = claimed(rec.Addrs)
	d.lodge(e)
	return true
}

// Has reports whether just this envelope is known.
func (d *Known) Has(env protocol.Envelope) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.sums[maphash.Bytes(d.seed, env)]
	return ok
}

// Spoke notes that a peer showed a sign of life itself, and at which address its
// connection shows it; nil: not known.
func (d *Known) Spoke(id peer.ID, at multiaddr.Multiaddr, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.peers[id]; e != nil && e.node {
		e.spoken, e.heard = now, now
		e.see(at)
		d.lodge(e)
	}
}

// Met reports whether a peer was asked, or greeted, before.
func (d *Known) Met(id peer.ID) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.peers[id]
	return e != nil && e.every != 0
}

// Greet counts a peer as a node that has nothing new to tell, without having
// asked it. at is as for Spoke.
func (d *Known) Greet(id peer.ID, at multiaddr.Multiaddr, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entry(id, now); e.every == 0 {
		e.node, e.spoken, e.every, e.next = true, now, askAgain, now.Add(askAgain)
		e.see(at)
		d.lodge(e)
	}
}

// Answered notes the outcome of asking a peer; info is nil if it did not answer. at is
// as for Spoke. news says that it told of nodes that were not known.
func (d *Known) Answered(id peer.ID, at multiaddr.Multiaddr, info *protocol.InfoReply, news bool, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entry(id, now)
	switch {
	case info == nil:
		e.again(e.asked < 0, -1, now)
		return
	case info.Donated == 0:
		e.node = false
		e.every, e.next = askStranger, now.Add(askStranger)
	default:
		e.node = true
		e.spoken = now
		step := 3 // asked once more, because both may just have started
		switch {
		case news:
			step = 1
		case len(info.Donors) == protocol.MaxInfoDonors:
			step = 4 // it had much to tell, and nothing new: it is settled
		}
		e.again(e.asked > 0, step, now)
	}
	e.see(at)
	d.lodge(e)
}

// again plans the next question: soon after a change, then ever later, and later
// still where there was no answer: a peer that comes back asks, or beats, by itself.
// asked counts answers up and failures down.
func (e *donor) again(same bool, step int, now time.Time) {
	if !same {
		e.asked = 0
	}
	e.asked += step
	doublings := e.asked
	if doublings < 0 {
		doublings = -2*doublings - 1
	}
	e.every = min(askAgain, askFirst<<min(doublings, 16)) // more exceed any most
	e.next = now.Add(e.every)
}

// Due returns which peers to ask now, out of those given and those heard of.
func (d *Known) Due(known []peer.ID, self peer.ID, now time.Time) []peer.ID {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []peer.ID
	for _, id := range known {
		if d.peers[id] == nil && id != self {
			out = append(out, id)
		}
	}
	for id, e := range d.peers {
		if id != self && !now.Before(e.next) && !e.settled(now) {
			out = append(out, id)
		}
	}
	return out
}

// settled reports whether a node is left alone for now, for three days at most: it
// had nothing new to tell, and is heard of otherwise, as each neighbour is. A
// newcomer asks by itself, and is asked then.
func (e *donor) settled(now time.Time) bool {
	asked := e.next.Add(-e.every)
	return e.node && e.every >= askSettled && now.Sub(e.spoken) < askAgain && now.Sub(asked) < askAnyway
}

// Told is what others are told of a node.
type Told struct {
	Peer     peer.ID
	Envelope protocol.Envelope
	Seq      uint64
}

// Tell returns nodes spoken to within a day, of which to tell others: at most most,
// all but one, drawn over domains.
func (d *Known) Tell(most int, but peer.ID, now time.Time, rng *rand.Rand) []Told {
	d.mu.Lock()
	defer d.mu.Unlock()
	fits := func(e *donor) bool { return e.fresh(now) && e.id != but && len(e.envelope) > 0 }
	out := make([]Told, 0, most)
	for _, e := range d.nodes.pick(most, fits, rng) {
		out = append(out, Told{e.id, e.envelope, e.seq})
	}
	return out
}

// Draw returns nodes spoken to within a day, at most most, drawn over domains.
func (d *Known) Draw(most int, now time.Time, rng *rand.Rand) []peer.ID {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]peer.ID, 0, most)
	for _, e := range d.nodes.pick(most, func(e *donor) bool { return e.fresh(now) }, rng) {
		out = append(out, e.id)
	}
	return out
}

// fresh reports whether a peer is a node, and was spoken to within a day.
func (e *donor) fresh(now time.Time) bool { return e.node && now.Sub(e.spoken) < freshFor }

// Count returns how many nodes were spoken to within a day.
func (d *Known) Count(now time.Time) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.peers {
		if e.fresh(now) {
			n++
		}
	}
	return n
}

// Forget drops peers of which nothing has been heard for two days.
func (d *Known) Forget(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.peers {
		if now.Sub(e.heard) > 2*freshFor {
			d.drop(e)
		}
	}
}
