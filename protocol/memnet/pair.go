package memnet

import (
	"math/rand/v2"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// pair is a stream with both of its ends.
type pair struct {
	mu    sync.Mutex // after Net.mu where both are held
	news  chan struct{}
	ends  [2]end
	lanes [2]lane // lanes[i] carries what ends[i] writes
}

// end is one end of a stream. It implements [protocol.Stream].
type end struct {
	*pair
	side   int
	owner  *Peer
	remote protocol.Remote

	// guarded by pair.mu
	closed      bool
	dead        error // why nothing works any more
	readUntil   time.Time
	writeUntil  time.Time
	breaksAfter int64 // bytes that it may still write before the stream breaks; < 0: any number
}

func newPair(from, to *Peer, chance *rand.Rand, out, back Link) *pair {
	s := &pair{}
	for i, x := range [...][2]*Peer{{from, to}, {to, from}} {
		s.ends[i] = end{
			pair: s, side: i, owner: x[0], breaksAfter: -1,
			remote: protocol.Remote{Peer: x[1].id, Addr: x[1].cfg.Addr, Relayed: x[1].relayed},
		}
		if chance != nil {
			s.lanes[i].chance = rand.New(rand.NewPCG(chance.Uint64(), chance.Uint64()))
		}
	}
	if chance == nil {
		return s
	}
	for i, l := range [...]Link{out, back} {
		if chance.Float64() < l.Loss {
			s.ends[i].breaksAfter = breakPoint(chance)
		}
	}
	return s
}

// breakPoint is as likely to lie in the first bytes of a stream as in its
// first megabytes.
func breakPoint(chance *rand.Rand) int64 { return chance.Int64N(1 << (1 + chance.IntN(22))) }

// die makes this end useless and tells the other.
func (e *end) die(err error) {
	if e.dead != nil {
		return
	}
	e.dead = err
	out := &e.lanes[e.side]
	if !out.reset {
		out.reset, out.resetDue = true, out.after(time.Now())
	}
	e.lanes[1-e.side].drop()
	e.changed()
}

// breaks counts written bytes. At the byte at which the connection is to be lost
// it ends the stream for both ends at the same time.
func (e *end) breaks(wrote int) bool {
	if e.breaksAfter < 0 {
		return false
	}
	e.breaksAfter -= int64(wrote)
	if e.breaksAfter >= 0 {
		return false
	}
	e.ends[0].die(ErrReset)
	e.ends[1].die(ErrReset)
	return true
}

// kill ends the stream because its owner stopped.
func (p *pair) kill(owner *Peer) {
	p.mu.Lock()
	for i := range p.ends {
		if e := &p.ends[i]; e.owner == owner {
			e.die(errStopped)
			p.lanes[i].resetDue = time.Now() // its operating system says so immediately
		}
	}
	p.changed()
	p.mu.Unlock()
	p.forget()
}

// forget drops the stream from both peers once both ends are closed or dead.
func (p *pair) forget() {
	p.mu.Lock()
	done := p.ends[0].usable() != nil && p.ends[1].usable() != nil
	p.mu.Unlock()
	if !done {
		return
	}
	n := p.ends[0].owner.net
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := range p.ends {
		delete(p.ends[i].owner.streams, p)
	}
}

// changed wakes those that wait on the stream; the caller holds mu.
func (p *pair) changed() {
	if p.news != nil {
		close(p.news)
		p.news = nil
	}
}

// wait gives mu up until something changed or the time has come (zero: never).
func (p *pair) wait(until time.Time) {
	if p.news == nil {
		p.news = make(chan struct{})
	}
	news := p.news
	p.mu.Unlock()
	defer p.mu.Lock()
	if until.IsZero() {
		<-news
		return
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-news:
	case <-t.C:
	}
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
