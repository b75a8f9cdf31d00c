package protocol

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// Pace bounds how often each of many may do something: a burst, and then a number
// per second. Its memory is bounded, too. It may be used by many goroutines at the
// same time.
type Pace[K comparable] struct {
	perSecond rate.Limit
	burst     int
	most      int // kept at a time

	mu sync.Mutex
	of map[K]*rate.Limiter // guarded by mu
}

// NewPace returns a Pace that knows at most most names at a time. Where there are
// more, it forgets some that have used up a part of their bound. So names that cost
// nothing must never be bounded by name alone.
func NewPace[K comparable](perSecond float64, burst, most int) *Pace[K] {
	return &Pace[K]{perSecond: rate.Limit(perSecond), burst: burst, most: most, of: make(map[K]*rate.Limiter)}
}

// Take counts n more of k and reports whether they are within the bound. If they are
// not, nothing is left for k until some time has passed.
func (p *Pace[K]) Take(k K, n int, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.of[k]
	if v == nil {
		p.makeRoom(now)
		v = rate.NewLimiter(p.perSecond, p.burst)
		p.of[k] = v
	}
	if v.AllowN(now, n) {
		return true
	}
	v.AllowN(now, int(max(v.TokensAt(now), 0)))
	return false
}

// Spent reports whether nothing is left for k.
func (p *Pace[K]) Spent(k K, now time.Time) bool { return p.Left(k, now) < 1 }

// Left returns how much is left for k, at most the burst.
func (p *Pace[K]) Left(k K, now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	v := p.of[k]
	if v == nil {
		return p.burst
	}
	return int(v.TokensAt(now))
}

// makeRoom forgets the names that have all of their bound left, about which there is
// nothing to remember, and if these are too few, any others. The caller holds mu.
func (p *Pace[K]) makeRoom(now time.Time) {
	if len(p.of) < p.most {
		return
	}
	for k, v := range p.of {
		if v.TokensAt(now) >= float64(p.burst) {
			delete(p.of, k)
		}
	}
	for k := range p.of {
		if len(p.of) < p.most*7/8 {
			return
		}
		delete(p.of, k)
	}
}
