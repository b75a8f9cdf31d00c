package node

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/cairnstore/cairn/node/contract"
)

const (
	// linePiece is what crosses a limited line at a time, in bytes.
	linePiece = 16 << 10
	// lineShare is what each of the transfers under way has at least of a
	// limited line, in bytes a second: half more than the slowest that peers
	// bear (SPEC.md, Streams). No more are let in than can have it.
	lineShare = 24 << 10
	// lineIdle is how long a class has to leave the line alone before the
	// other one gets its half.
	lineIdle = time.Second
	// maxTransfers bounds the transfers of one class and direction.
	maxTransfers = 1 << 10
)

// line is the donor's connection as far as the node's own protocol uses it: it
// counts what crosses, and delays it where the donor set a rate. What the DHT
// and libp2p itself say is not in it.
type line struct {
	up, down *lane // nil: no limit
	spent    [contract.Classes]crossing
}

// crossing counts the bytes of a class, since they were last taken.
type crossing struct{ up, down atomic.Int64 }

func newLine(t contract.Terms) *line { return &line{up: newLane(t.Up), down: newLane(t.Down)} }

// slowest returns the rate that a transfer has at least, or less than most.
func (l *line) slowest(most int64) int64 {
	if l.up == nil && l.down == nil {
		return most
	}
	return min(most, lineShare)
}

// lane is one direction of a limited line. Each class has a half of the rate
// while the other one uses the line, and all of it otherwise.
type lane struct {
	rate      rate.Limit
	transfers [contract.Classes]*semaphore.Weighted

	mu   sync.Mutex
	uses [contract.Classes]laneUse
}

// laneUse is one class's.
type laneUse struct {
	limit   *rate.Limiter
	waiting int       // pieces
	last    time.Time // when a piece last came or went
}

// newLane returns a lane of so many bytes a second; nil for 0.
func newLane(bytes int64) *lane {
	if bytes == 0 {
		return nil
	}
	l := &lane{rate: rate.Limit(bytes)}
	burst := max(4*linePiece, int(min(bytes/10, 1<<30))) // a tenth of a second: timers are not exact
	for c := range l.uses {
		l.uses[c].limit = rate.NewLimiter(l.rate, burst)
		l.transfers[c] = semaphore.NewWeighted(min(maxTransfers, max(1, bytes/2/lineShare)))
	}
	return l
}

// wait returns when n bytes of a class, at most linePiece, may cross.
func (l *lane) wait(ctx context.Context, c contract.Class, n int) error {
	limit := l.enter(c)
	defer l.leave(c)
	return limit.WaitN(ctx, n)
}

func (l *lane) enter(c contract.Class) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	u := &l.uses[c]
	u.waiting++
	u.last = now
	l.share(now)
	return u.limit
}

func (l *lane) leave(c contract.Class) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := &l.uses[c]
	u.waiting--
	u.last = time.Now()
}

// share gives each class that uses the line its part. mu is held.
func (l *lane) share(now time.Time) {
	busy := 0
	for c := range l.uses {
		if u := &l.uses[c]; u.waiting > 0 || now.Sub(u.last) < lineIdle {
			busy++
		}
	}
	want := l.rate / rate.Limit(max(busy, 1))
	for c := range l.uses {
		if limit := l.uses[c].limit; limit.Limit() != want {
			limit.SetLimitAt(now, want)
		}
	}
}

// transfer waits until one more shard of a class may begin to cross a lane,
// which may be nil. It reports whether there was room in time.
func (l *lane) transfer(ctx context.Context, c contract.Class) (leave func(), ok bool) {
	if l == nil {
		return func() {}, true
	}
	s := l.transfers[c]
	if s.Acquire(ctx, 1) != nil {
		return nil, false
	}
	return sync.OnceFunc(func() { s.Release(1) }), true
}
