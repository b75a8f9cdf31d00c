package node

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/semaphore"

	"github.com/cairnstore/cairn/protocol"
)

// Limits bounds what may be under way at once, so that no crowd and no single
// peer takes all of a node's memory.
type Limits struct {
	Streams     int   // open streams in all
	PeerStreams int   // open streams of one peer
	Requests    int   // requests being answered, Puts apart
	Body        int64 // bytes of shards in memory
	PeerBody    int64 // of one peer's requests
	CacheBytes  int64 // bytes of group states in memory
}

// DefaultLimits returns what a small machine bears.
func DefaultLimits() Limits {
	return Limits{
		Streams: 4096, PeerStreams: 64, Requests: 512,
		Body: 128 << 20, PeerBody: 32 << 20, CacheBytes: 64 << 20,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	setDefault(&l.Streams, d.Streams)
	setDefault(&l.PeerStreams, d.PeerStreams)
	setDefault(&l.Requests, d.Requests)
	setDefault(&l.Body, d.Body)
	setDefault(&l.PeerBody, d.PeerBody)
	setDefault(&l.CacheBytes, d.CacheBytes)
	// Less than one shard would refuse every Put.
	l.Body = max(l.Body, protocol.MaxShardSize)
	l.PeerBody = min(max(l.PeerBody, protocol.MaxShardSize), l.Body)
	return l
}

// doorPatience is how long a request waits for its turn.
const doorPatience = 10 * time.Second

// door lets in as much as Limits allow.
type door struct {
	limits   Limits
	requests *semaphore.Weighted
	memory   *semaphore.Weighted

	mu      sync.Mutex
	streams int
	peers   map[peer.ID]*peerUse
}

// peerUse is what one peer has under way.
type peerUse struct {
	streams int
	users   int
	memory  *semaphore.Weighted
}

func newDoor(l Limits) *door {
	return &door{
		limits:   l,
		requests: semaphore.NewWeighted(int64(l.Requests)),
		memory:   semaphore.NewWeighted(l.Body),
		peers:    make(map[peer.ID]*peerUse),
	}
}

// use returns a peer's entry, which is kept until unuse. mu is held.
func (d *door) use(id peer.ID) *peerUse {
	p := d.peers[id]
	if p == nil {
		p = &peerUse{memory: semaphore.NewWeighted(d.limits.PeerBody)}
		d.peers[id] = p
	}
	p.users++
	return p
}

func (d *door) unuse(id peer.ID, p *peerUse) {
	if p.users--; p.users == 0 {
		delete(d.peers, id)
	}
}

// stream lets a stream in, or not. leave ends it.
func (d *door) stream(id peer.ID) (leave func(), ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.use(id)
	if d.streams >= d.limits.Streams || p.streams >= d.limits.PeerStreams {
		d.unuse(id, p)
		return nil, false
	}
	d.streams++
	p.streams++
	return func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.streams--
		p.streams--
		d.unuse(id, p)
	}, true
}

// open returns how many streams are.
func (d *door) open() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.streams
}

// request waits until one more request may be answered. It refuses with
// CodeUnavailable when that takes too long.
func (d *door) request(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, doorPatience)
	defer cancel()
	if err := d.requests.Acquire(ctx, 1); err != nil {
		return nil, protocol.Refuse(protocol.CodeUnavailable, "too many requests at once")
	}
	return func() { d.requests.Release(1) }, nil
}

// body waits until n bytes of a peer's shard may be held in memory. It refuses
// with CodeUnavailable when that takes too long.
func (d *door) body(ctx context.Context, id peer.ID, n int64) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, doorPatience)
	defer cancel()
	d.mu.Lock()
	p := d.use(id)
	d.mu.Unlock()
	leave := func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.unuse(id, p)
	}
	if err := p.memory.Acquire(ctx, n); err != nil {
		leave()
		return nil, protocol.Refuse(protocol.CodeUnavailable, "too many of your shards at once")
	}
	if err := d.memory.Acquire(ctx, n); err != nil {
		p.memory.Release(n)
		leave()
		return nil, protocol.Refuse(protocol.CodeUnavailable, "too many shards at once")
	}
	return func() {
		d.memory.Release(n)
		p.memory.Release(n)
		leave()
	}, nil
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
