package gate

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"

	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
)

const (
	// Patience is how long a request waits for its turn.
	Patience = 10 * time.Second
	// unrest is how long a request waits for memory before the slowest of those
	// that have it is ended.
	unrest = Patience / 4
)

// Gate lets in as much as Limits allow.
type Gate struct {
	limits   Limits
	now      func() time.Time
	slowest  int64 // bytes a second that a transfer must keep up in a crowd
	requests *semaphore.Weighted
	memory   *semaphore.Weighted
	loads    *protocol.Pace[guest] // of groups that are not in memory

	mu      sync.Mutex
	streams int                 // guarded by mu
	guests  map[guest]*guestUse // guarded by mu
	holds   map[*hold]struct{}  // memory that is taken; guarded by mu
}

// guest is one that has limits of its own at a gate: a peer, a source, or a wide
// prefix.
type guest struct {
	peer peer.ID
	at   quota.Source
	wide netip.Prefix
}

// guestUse is what a guest has under way.
type guestUse struct {
	users       int // guarded by the gate's mu, as is streams
	streams     int
	mostStreams int
	requests    *semaphore.Weighted
	memory      *semaphore.Weighted
}

// New returns a gate. slowest is what a transfer must keep up in a crowd, in
// bytes a second.
func New(l Limits, slowest int64, now func() time.Time) *Gate {
	return &Gate{
		limits: l, now: now, slowest: slowest,
		requests: semaphore.NewWeighted(int64(l.Requests)),
		memory:   semaphore.NewWeighted(l.Body),
		loads:    protocol.NewPace[guest](loadsASecond, loadsAtOnce, maxLoaders),
		guests:   make(map[guest]*guestUse),
		holds:    make(map[*hold]struct{}),
	}
}

// guestsOf returns the guests that are charged for what a peer asks, the smallest
// first.
func guestsOf(from protocol.Remote) []guest {
	all := []guest{{peer: from.Peer}}
	at := quota.SourceOf(from)
	if at.Exempt() {
		return all
	}
	all = append(all, guest{at: at})
	if wide, ok := at.Wide(); ok {
		all = append(all, guest{wide: wide})
	}
	return all
}

// newUse returns what a guest may have under way.
func (l Limits) newUse(s guest) *guestUse {
	streams, requests, body := l.Streams/2, l.Requests/2, max(l.Body/2, l.SourceBody)
	switch {
	case s.peer != "":
		streams, requests, body = l.PeerStreams, l.SourceRequests, l.PeerBody
	case s.at != quota.Source{} || !s.wide.IsValid():
		streams, requests, body = l.SourceStreams, l.SourceRequests, l.SourceBody
	}
	return &guestUse{
		mostStreams: streams,
		requests:    semaphore.NewWeighted(int64(max(requests, 1))),
		memory:      semaphore.NewWeighted(body),
	}
}

// use returns the guests' uses that a peer's request is charged to; leave ends
// it.
func (d *Gate) use(from protocol.Remote) (all []*guestUse, leave func()) {
	names := guestsOf(from)
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, s := range names {
		v := d.guests[s]
		if v == nil {
			v = d.limits.newUse(s)
			d.guests[s] = v
		}
		v.users++
		all = append(all, v)
	}
	return all, sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		for i, s := range names {
			if all[i].users--; all[i].users == 0 {
				delete(d.guests, s)
			}
		}
	})
}

// Stream lets a stream in, or not. leave ends it.
func (d *Gate) Stream(from protocol.Remote) (leave func(), ok bool) {
	uses, unuse := d.use(from)
	if !d.enter(uses) {
		unuse()
		return nil, false
	}
	return func() { d.leave(uses); unuse() }, true
}

func (d *Gate) enter(uses []*guestUse) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.streams >= d.limits.Streams {
		return false
	}
	for _, v := range uses {
		if v.streams >= v.mostStreams {
			return false
		}
	}
	d.streams++
	for _, v := range uses {
		v.streams++
	}
	return true
}

func (d *Gate) leave(uses []*guestUse) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.streams--
	for _, v := range uses {
		v.streams--
	}
}

// Open returns how many streams are open.
func (d *Gate) Open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.streams
}

// Request waits until one more request of a peer may be answered. It refuses
// with CodeUnavailable when that takes too long.
func (d *Gate) Request(ctx context.Context, from protocol.Remote) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	uses, unuse := d.use(from)
	queue := make([]*semaphore.Weighted, 0, len(uses)+1)
	for _, v := range uses {
		queue = append(queue, v.requests)
	}
	release, ok := acquire(ctx, append(queue, d.requests), 1)
	if !ok {
		unuse()
		return nil, protocol.Refuse(protocol.CodeUnavailable, "too many requests at once")
	}
	return func() { release(); unuse() }, nil
}

// acquire takes n of each semaphore in turn: a request that waits for its own
// guest's share keeps no other guest waiting.
func acquire(ctx context.Context, queue []*semaphore.Weighted, n int64) (release func(), ok bool) {
	release = func() {}
	for i, s := range queue {
		if s.Acquire(ctx, n) != nil {
			release()
			return nil, false
		}
		release = func() {
			for _, s := range queue[:i+1] {
				s.Release(n)
			}
		}
	}
	return release, true
}

// Body waits until n bytes of a peer's shard may be held in memory. It refuses
// with CodeUnavailable when that takes too long.
func (d *Gate) Body(ctx context.Context, from protocol.Remote, n int64) (release func(), err error) {
	patient, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	uses, unuse := d.use(from)
	queue := make([]*semaphore.Weighted, 0, len(uses))
	for _, v := range uses {
		queue = append(queue, v.memory)
	}
	own, ok := acquire(patient, queue, n)
	if !ok {
		unuse()
		return nil, protocol.Refuse(protocol.CodeUnavailable, "too many of your shards at once")
	}
	if !d.remember(patient, n) {
		own()
		unuse()
		return nil, protocol.Refuse(protocol.CodeUnavailable, "too many shards at once")
	}
	h := d.hold(ctx, n)
	return func() {
		d.unhold(h)
		d.memory.Release(n)
		own()
		unuse()
	}, nil
}

// remember waits for n bytes of the memory that all share. When it has waited for
// unrest, the slowest of the requests that have some is ended.
func (d *Gate) remember(ctx context.Context, n int64) bool {
	unease := time.AfterFunc(unrest, d.relieve)
	defer unease.Stop()
	return d.memory.Acquire(ctx, n) == nil
}

// Own takes memory for this node's own work.
func (d *Gate) Own(ctx context.Context, bytes int64) (release func(), err error) {
	bytes = min(bytes, d.limits.Body)
	if err := d.memory.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { d.memory.Release(bytes) }, nil
}
