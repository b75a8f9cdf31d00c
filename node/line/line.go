package line

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/time/rate"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/protocol"
)

const (
	// sliceSize is what crosses a limited line at a time, in bytes.
	sliceSize = 16 << 10
	// leastRate is what each of the transfers under way has at least of a
	// limited line, in bytes a second: half more than the slowest that peers
	// tolerate. No more are let in than can have it.
	leastRate = protocol.MinRate * 3 / 2
	// idleAfter is how long a class has to leave the line alone before the
	// other one gets its half.
	idleAfter = time.Second
	// maxTransfers bounds the transfers of one class and direction.
	maxTransfers = 1 << 10
)

// Line is the donor's connection as far as the node's own protocol uses it: it
// counts what crosses, and delays it where the donor set a rate. The traffic of
// the DHT and of libp2p itself does not count.
type Line struct {
	Up, Down *Lane // nil: no limit
	spent    [contract.Classes]crossing
}

// crossing counts the bytes of a class, since they were last taken.
type crossing struct{ up, down atomic.Int64 }

// New returns a line with the rates that the donor set.
func New(t contract.Terms) *Line { return &Line{Up: newLane(t.Up), Down: newLane(t.Down)} }

// Count notes that bytes of a class crossed.
func (l *Line) Count(c contract.Class, up, down int64) {
	l.spent[c].up.Add(up)
	l.spent[c].down.Add(down)
}

// TakeSpent returns the bytes of a class that crossed since the last call.
func (l *Line) TakeSpent(c contract.Class) (up, down int64) {
	return l.spent[c].up.Swap(0), l.spent[c].down.Swap(0)
}

// Slowest returns the least rate that the line leaves to a transfer, in bytes a
// second, but at most most.
func (l *Line) Slowest(most int64) int64 {
	if l.Up == nil && l.Down == nil {
		return most
	}
	return min(most, leastRate)
}

// Lane is one direction of a limited line. Each class has a half of the rate
// while the other one uses the line, and all of it otherwise.
type Lane struct {
	rate      rate.Limit
	transfers [contract.Classes]*semaphore.Weighted

	mu   sync.Mutex
	uses [contract.Classes]laneUse
}

// laneUse is one class's.
type laneUse struct {
	limit   *rate.Limiter
	waiting int       // slices
	last    time.Time // when a slice last came or went
}

// newLane returns a lane of a number of bytes a second; nil for 0.
func newLane(bytes int64) *Lane {
	if bytes == 0 {
		return nil
	}
	l := &Lane{rate: rate.Limit(bytes)}
	burst := max(4*sliceSize, int(min(bytes/10, 1<<30))) // a tenth of a second: timers are not exact
	for c := range l.uses {
		l.uses[c].limit = rate.NewLimiter(l.rate, burst)
		l.transfers[c] = semaphore.NewWeighted(min(maxTransfers, max(1, bytes/2/leastRate)))
	}
	return l
}

// wait returns when n bytes of a class, at most sliceSize, may cross.
func (l *Lane) wait(ctx context.Context, c contract.Class, n int) error {
	limit := l.enter(c)
	defer l.leave(c)
	return limit.WaitN(ctx, n)
}

func (l *Lane) enter(c contract.Class) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	u := &l.uses[c]
	u.waiting++
	u.last = now
	l.share(now)
	return u.limit
}

func (l *Lane) leave(c contract.Class) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := &l.uses[c]
	u.waiting--
	u.last = time.Now()
}

// share gives each class that uses the line its part. mu is held.
func (l *Lane) share(now time.Time) {
	busy := 0
	for c := range l.uses {
		if u := &l.uses[c]; u.waiting > 0 || now.Sub(u.last) < idleAfter {
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

// Transfer waits until one more shard of a class may begin to cross a lane,
// which may be nil. It reports whether there was room in time.
func (l *Lane) Transfer(ctx context.Context, c contract.Class) (leave func(), ok bool) {
	if l == nil {
		return func() {}, true
	}
	s := l.transfers[c]
	if s.Acquire(ctx, 1) != nil {
		return nil, false
	}
	return sync.OnceFunc(func() { s.Release(1) }), true
}
