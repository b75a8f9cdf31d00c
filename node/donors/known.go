package donors

import (
	"bytes"
	"hash/maphash"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of getting to know other nodes.
const (
	freshFor    = 24 * time.Hour  // a node spoken to within this is told of
	askFirst    = 5 * time.Second // until a peer is asked again; doubled each time, up to
	askAgain    = 12 * time.Hour  // for a node: it stays fresh where it says nothing else
	askSettled  = time.Minute     // from which on a node that has told nothing new is asked only when it is quiet
	askAnyway   = 3 * freshFor    // until it is asked all the same
	askStranger = time.Hour       // until one that is no node, as yet, is asked again
	maxDonors   = 4096            // peers remembered
)

// Known remembers which peers are nodes: neighbours that beat, and peers that
// themselves answered Info with donated bytes. What others tell of one is a hint.
type Known struct {
	mu    sync.Mutex
	peers map[peer.ID]*donor
	seed  maphash.Seed
	sums  map[uint64]struct{} // of the peers' newest envelopes
}

type donor struct {
	envelope protocol.Envelope // newest known; empty: none
	seq      uint64
	sum      uint64        // of the envelope
	node     bool          // it beats, or answered with donated bytes
	spoken   time.Time     // last time it answered or asked; zero: never
	asked    int           // answers (above zero) or failures (below) in a row
	every    time.Duration // from the last question, or greeting, to next; 0: there was none
	next     time.Time     // not to be asked before
	heard    time.Time     // last sign of it, by itself or by others
}

// New returns one that knows nobody.
func New() *Known {
	return &Known{peers: make(map[peer.ID]*donor), seed: maphash.MakeSeed(), sums: make(map[uint64]struct{})}
}

// entry returns a peer's entry, made if there is room. mu is held.
func (d *Known) entry(id peer.ID, now time.Time) *donor {
	e := d.peers[id]
	if e == nil {
		if len(d.peers) >= maxDonors && !d.makeRoom() {
			return nil
		}
		e = new(donor)
		d.peers[id] = e
	}
	e.heard = now
	return e
}

// makeRoom drops some entry that is no node. mu is held.
func (d *Known) makeRoom() bool {
	for id, e := range d.peers {
		if !e.node {
			d.drop(id, e)
			return true
		}
	}
	return false
}

// drop forgets a peer. mu is held.
func (d *Known) drop(id peer.ID, e *donor) {
	delete(d.peers, id)
	delete(d.sums, e.sum)
}

// Hint keeps an envelope that somebody told of; it reports whether it is news.
func (d *Known) Hint(env protocol.Envelope, rec protocol.PeerRecord, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entry(rec.Peer, now)
	if e == nil || len(e.envelope) > 0 && rec.Seq <= e.seq {
		return false
	}
	delete(d.sums, e.sum)
	e.envelope, e.seq, e.sum = bytes.Clone(env), rec.Seq, maphash.Bytes(d.seed, env)
	d.sums[e.sum] = struct{}{}
	if e.spoken.IsZero() {
		e.next = time.Time{} // a new address may answer where the old did not
	}
	return true
}

// Has reports whether just this envelope is known.
func (d *Known) Has(env protocol.Envelope) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.sums[maphash.Bytes(d.seed, env)]
	return ok
}

// Spoke notes that a peer showed a sign of life itself.
func (d *Known) Spoke(id peer.ID, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.peers[id]; e != nil && e.node {
		e.spoken, e.heard = now, now
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
// asked it.
func (d *Known) Greet(id peer.ID, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if e := d.entry(id, now); e != nil && e.every == 0 {
		e.node, e.spoken, e.every, e.next = true, now, askAgain, now.Add(askAgain)
	}
}

// Answered notes what came of asking a peer; info is nil if nothing did. news
// says that it told of nodes that were not known.
func (d *Known) Answered(id peer.ID, info *protocol.InfoReply, news bool, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	e := d.entry(id, now)
	switch {
	case e == nil:
	case info == nil:
		e.again(e.asked < 0, -1, now)
	case info.Donated == 0:
		e.node = false
		e.every, e.next = askStranger, now.Add(askStranger)
	default:
		e.node = true
		e.spoken = now
		step := 3 // asked once more, for both may just have started
		switch {
		case news:
			step = 1
		case len(info.Donors) == protocol.MaxInfoDonors:
			step = 4 // it had much to tell, and nothing new: it is settled
		}
		e.again(e.asked > 0, step, now)
	}
}

// again plans the next question: soon after a change, then ever later, and later
// still where there was no answer: who comes back asks, or beats, by itself. asked
// counts answers up and failures down.
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

// Due returns which peers to ask now: of those given and those heard of.
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

// Fresh returns nodes spoken to within a day, but for one.
func (d *Known) Fresh(now time.Time, but peer.ID) []Told {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []Told
	for id, e := range d.peers {
		if e.node && id != but && len(e.envelope) > 0 && now.Sub(e.spoken) < freshFor {
			out = append(out, Told{id, e.envelope, e.seq})
		}
	}
	return out
}

// Count returns how many nodes were spoken to within a day.
func (d *Known) Count(now time.Time) (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, e := range d.peers {
		if e.node && now.Sub(e.spoken) < freshFor {
			n++
		}
	}
	return n
}

// Forget drops peers of which nothing has been heard for two days.
func (d *Known) Forget(now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, e := range d.peers {
		if now.Sub(e.heard) > 2*freshFor {
			d.drop(id, e)
		}
	}
}

// Nodes returns the peers that are nodes and were spoken to within a day.
func (d *Known) Nodes(now time.Time) (out []peer.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, e := range d.peers {
		if e.node && now.Sub(e.spoken) < freshFor {
			out = append(out, id)
		}
	}
	return out
}
