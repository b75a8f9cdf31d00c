package client

import (
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// Settings of the book of peers.
const (
	firstBackoff = 2 * time.Second // after one failure; doubled by each further one
	mostBackoff  = 2 * time.Minute
	smoothing    = 0.3      // weight of the newest measurement
	smallAnswer  = 64 << 10 // bytes up to which an answer's time is taken as latency
	recentSize   = 64       // measurements that a median is taken over

	// assumedRate, in bytes a second, and assumedLatency stand in until
	// something is measured.
	assumedRate    = 8 << 20
	assumedLatency = 120 * time.Millisecond

	mostMisses = 2 // groups that a peer fails by silence to become unfit; a refusal suffices once
	missesFor  = time.Hour

	hedgeFactor = 3 // times the expected duration
	leastHedge  = 150 * time.Millisecond
)

// errSlow is noted for a peer that others overtook.
var errSlow = errors.New("no answer while others answered")

// peers is what a session knows of those it talks to. None of them is ever ruled
// out for reading: those that failed are tried last.
type peers struct {
	now   func() time.Time
	mu    sync.Mutex
	book  map[peer.ID]*peerNotes
	lags  recent // seconds that small answers took
	paces recent // seconds for each byte of large answers
}

type peerNotes struct {
	lag   float64 // seconds that a small answer takes; 0: unknown
	pace  float64 // seconds for each byte; 0: unknown
	fails int     // in a row
	until time.Time
	liar  error // what it was caught at
	busy  int

	misses   int // groups that it failed
	missedAt time.Time
	missedBy error // how it refused or failed the last of them
}

func newPeers(now func() time.Time) *peers {
	return &peers{now: now, book: make(map[peer.ID]*peerNotes)}
}

// notes returns a peer's entry. p.mu is held.
func (p *peers) notes(id peer.ID) *peerNotes {
	n := p.book[id]
	if n == nil {
		n = new(peerNotes)
		p.book[id] = n
	}
	return n
}

// ok notes that a peer moved bytes in dur.
func (p *peers) ok(id peer.ID, bytes int64, dur time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.notes(id)
	n.fails, n.until = 0, time.Time{}
	if bytes <= smallAnswer {
		n.lag = smooth(n.lag, dur.Seconds())
		p.lags.add(dur.Seconds())
		return
	}
	n.pace = smooth(n.pace, dur.Seconds()/float64(bytes))
	p.paces.add(dur.Seconds() / float64(bytes))
}

func smooth(old, now float64) float64 {
	if old == 0 {
		return now
	}
	return old + smoothing*(now-old)
}

// fail notes that a peer did not do what it was asked to: it counts as down for a
// while, longer each time.
func (p *peers) fail(id peer.ID, _ error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.notes(id)
	n.until = p.now().Add(min(mostBackoff, firstBackoff<<min(n.fails, 8)))
	n.fails++
}

// lied notes that a peer gave bytes that do not fit their hash: it counts as down
// for the rest of the session.
func (p *peers) lied(id peer.ID, what error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes(id).liar = what
}

// down reports whether a peer should be asked only when others do not suffice.
func (p *peers) down(id peer.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.book[id]
	return ok && n.down(p.now())
}

func (n *peerNotes) down(now time.Time) bool { return n.liar != nil || now.Before(n.until) }

// missed notes that a peer took part in a group and then did not store, and why.
func (p *peers) missed(id peer.ID, refused bool, why error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := p.notes(id)
	if n.misses++; refused {
		n.misses = mostMisses
	}
	n.missedAt, n.missedBy = p.now(), why
}

// missedWhy returns how a peer failed the last group that it failed; nil: it failed
// none.
func (p *peers) missedWhy(id peer.ID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := p.book[id]; n != nil {
		return n.missedBy
	}
	return nil
}

// unfit reports whether a peer is not to be drawn for a group, because it is down or
// failed other groups. Later answers make up for being down, not for the latter.
func (p *peers) unfit(id peer.ID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	n, ok := p.book[id]
	if !ok {
		return false
	}
	now := p.now()
	return n.down(now) || n.misses >= mostMisses && now.Sub(n.missedAt) < missesFor
}

// upFirst moves those that are down behind the others, in place.
func (p *peers) upFirst(ids []peer.ID) []peer.ID {
	if len(ids) > 1 {
		slices.SortStableFunc(ids, func(a, b peer.ID) int { return downRank(p, a) - downRank(p, b) })
	}
	return ids
}

func downRank(p *peers, id peer.ID) int {
	if p.down(id) {
		return 1
	}
	return 0
}

// begin and end enclose a request, so that work spreads over peers.
func (p *peers) begin(id peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes(id).busy++
}

func (p *peers) end(id peer.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notes(id).busy--
}

// rank returns ids in the order in which to ask them: those expected to be
// fast first, then those that failed, then liars.
func (p *peers) rank(ids []peer.ID) []peer.ID {
	p.mu.Lock()
	defer p.mu.Unlock()
	type row struct {
		id    peer.ID
		class int
		score float64
	}
	now := p.now()
	rows := make([]row, len(ids))
	for i, id := range ids {
		rows[i] = row{id: id, score: p.score(p.book[id])}
		if n := p.book[id]; n != nil && n.liar != nil {
			rows[i].class = 2
		} else if n != nil && n.down(now) {
			rows[i].class = 1
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int {
		switch {
		case a.class != b.class:
			return a.class - b.class
		case a.score < b.score:
			return -1
		case a.score > b.score:
			return 1
		}
		return 0
	})
	out := make([]peer.ID, len(rows))
	for i, r := range rows {
		out[i] = r.id
	}
	return out
}

// score is how long a megabyte would take, in seconds, as far as measured.
func (p *peers) score(n *peerNotes) float64 {
	const weighed = 1 << 20
	lag, pace, busy := p.lags.median(assumedLatency.Seconds()), p.paces.median(1.0/assumedRate), 0
	if n != nil {
		busy = n.busy
		if n.lag > 0 {
			lag = n.lag
		}
		if n.pace > 0 {
			pace = n.pace
		}
	}
	return (lag + pace*weighed) * float64(4+busy) / 4
}

// patience is how long a request for some bytes may take before other peers are
// asked as well.
func (p *peers) patience(bytes int64) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.lags.median(assumedLatency.Seconds())
	if bytes > smallAnswer {
		s += float64(bytes) * p.paces.median(1.0/assumedRate)
	}
	return max(leastHedge, time.Duration(hedgeFactor*s*float64(time.Second)))
}

// recent keeps the last measurements of a kind.
type recent struct {
	list []float64
	next int
	mid  float64 // median, until the next add
}

func (r *recent) add(v float64) {
	r.mid = 0
	if len(r.list) < recentSize {
		r.list = append(r.list, v)
		return
	}
	r.list[r.next] = v
	r.next = (r.next + 1) % recentSize
}

func (r *recent) median(unknown float64) float64 {
	if len(r.list) == 0 {
		return unknown
	}
	if r.mid == 0 {
		s := slices.Clone(r.list)
		slices.Sort(s)
		r.mid = s[len(s)/2]
	}
	return r.mid
}
