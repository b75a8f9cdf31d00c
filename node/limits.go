package node

import (
	"cmp"
	"context"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"

	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
)

// Limits bounds what may be under way at once, so that no crowd and no single
// peer takes all of a node's memory. A source is a /24 (IPv6: /48): peers are
// free, addresses are not. A /16 (IPv6: /32) gets half of all; private and
// loopback addresses count by peer alone.
type Limits struct {
	Streams        int   // open streams in all
	SourceStreams  int   // of the peers of one source
	PeerStreams    int   // of one peer
	Requests       int   // requests being answered, Puts apart
	SourceRequests int   // of the peers of one source
	Body           int64 // bytes of shards in memory
	SourceBody     int64 // of the requests of one source
	PeerBody       int64 // of one peer's
	CacheBytes     int64 // bytes of group states in memory
}

// DefaultLimits returns what a small machine bears.
func DefaultLimits() Limits {
	return Limits{
		Streams: 4096, SourceStreams: 512, PeerStreams: 64,
		Requests: 512, SourceRequests: 128,
		Body: 128 << 20, SourceBody: 48 << 20, PeerBody: 32 << 20,
		CacheBytes: 64 << 20,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	l = Limits{
		Streams: cmp.Or(l.Streams, d.Streams), SourceStreams: cmp.Or(l.SourceStreams, d.SourceStreams), PeerStreams: cmp.Or(l.PeerStreams, d.PeerStreams),
		Requests: cmp.Or(l.Requests, d.Requests), SourceRequests: cmp.Or(l.SourceRequests, d.SourceRequests),
		Body: cmp.Or(l.Body, d.Body), SourceBody: cmp.Or(l.SourceBody, d.SourceBody), PeerBody: cmp.Or(l.PeerBody, d.PeerBody),
		CacheBytes: cmp.Or(l.CacheBytes, d.CacheBytes),
	}
	// Less than one shard would refuse every Put.
	l.Body = max(l.Body, protocol.MaxShardSize)
	l.SourceBody = min(max(l.SourceBody, protocol.MaxShardSize), l.Body)
	l.PeerBody = min(max(l.PeerBody, protocol.MaxShardSize), l.SourceBody)
	return l
}

const (
	// doorPatience is how long a request waits for its turn.
	doorPatience = 10 * time.Second
	// doorUnease is how long one waits for memory before the slowest of those
	// who have it is sent away.
	doorUnease = doorPatience / 4
)

// door lets in as much as Limits allow.
type door struct {
	limits   Limits
	now      func() time.Time
	slowest  int64 // bytes a second that a transfer must keep up in a crowd
	requests *semaphore.Weighted
	memory   *semaphore.Weighted

	mu      sync.Mutex
	streams int                 // guarded by mu
	guests  map[guest]*guestUse // guarded by mu
	holds   map[*hold]struct{}  // memory that is taken; guarded by mu
}

// guest is whoever has a part of its own in what a door lets in: a peer, a
// source, or a wide prefix.
type guest struct {
	peer peer.ID
	at   quota.Source
	wide netip.Prefix
}

// guestUse is what a guest has under way.
type guestUse struct {
	users       int // guarded by the door's mu, as is streams
	streams     int
	mostStreams int
	requests    *semaphore.Weighted
	memory      *semaphore.Weighted
}

func newDoor(l Limits, now func() time.Time) *door {
	return &door{
		limits: l, now: now, slowest: crowdedRate,
		requests: semaphore.NewWeighted(int64(l.Requests)),
		memory:   semaphore.NewWeighted(l.Body),
		guests:   make(map[guest]*guestUse),
		holds:    make(map[*hold]struct{}),
	}
}

// guestsOf returns who is charged for what a peer asks, the smallest first.
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
func (d *door) use(from protocol.Remote) (all []*guestUse, leave func()) {
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

// stream lets a stream in, or not. leave ends it.
func (d *door) stream(from protocol.Remote) (leave func(), ok bool) {
	uses, unuse := d.use(from)
	if !d.enter(uses) {
		unuse()
		return nil, false
	}
	return func() { d.leave(uses); unuse() }, true
}

func (d *door) enter(uses []*guestUse) bool {
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

func (d *door) leave(uses []*guestUse) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.streams--
	for _, v := range uses {
		v.streams--
	}
}

// open returns how many streams are.
func (d *door) open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.streams
}

// request waits until one more request of a peer may be answered. It refuses
// with CodeUnavailable when that takes too long.
func (d *door) request(ctx context.Context, from protocol.Remote) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, doorPatience)
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

// acquire takes n of each semaphore in turn: who waits for its own share keeps
// nobody else waiting.
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

// body waits until n bytes of a peer's shard may be held in memory. It refuses
// with CodeUnavailable when that takes too long.
func (d *door) body(ctx context.Context, from protocol.Remote, n int64) (release func(), err error) {
	patient, cancel := context.WithTimeout(ctx, doorPatience)
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

// remember waits for n bytes of all memory. Who has to wait long sends the
// slowest away of those who have it.
func (d *door) remember(ctx context.Context, n int64) bool {
	unease := time.AfterFunc(doorUnease, d.relieve)
	defer unease.Stop()
	return d.memory.Acquire(ctx, n) == nil
}

// bufferClasses are the sizes, in bytes, of pooled buffers.
var bufferClasses = [...]int64{protocol.LeafSize, 128 << 10, 1 << 20, protocol.MaxShardSize}

// buffers are pools of memory for shards, by size.
type buffers struct{ pools [len(bufferClasses)]sync.Pool }

// get returns a buffer of n bytes, at most protocol.MaxShardSize.
func (b *buffers) get(n int64) *[]byte {
	for i, size := range bufferClasses {
		if n > size {
			continue
		}
		v, ok := b.pools[i].Get().(*[]byte)
		if !ok {
			buf := make([]byte, size)
			v = &buf
		}
		*v = (*v)[:n]
		return v
	}
	buf := make([]byte, n)
	return &buf
}

// put gives a buffer back.
func (b *buffers) put(v *[]byte) {
	for i, size := range bufferClasses {
		if int64(cap(*v)) == size {
			b.pools[i].Put(v)
			return
		}
	}
}
