package client

import (
	"context"
	"sync"

	"github.com/cairnstore/cairn/protocol"
)

// What a session keeps of packed segments, whose extents are read one by one: each
// segment is fetched once, and not once for each extent.
const (
	keptBytes = 32 << 20 // sealed bytes kept

	// A segment up to this size is kept whole, so that what is missing of it is
	// decoded once. The data shards of a larger one are kept one by one.
	keptWhole = 16 << 20

	// A packed segment up to this size is kept when it is first read, a larger
	// one when it is read again.
	keptAtOnce = 1 << 20
)

// keptKey names a run of a segment's data shards.
type keptKey struct {
	segment protocol.SegmentID
	unit    int // from 0; units have equal length
}

// keptRun is such a run. While users is not zero its buffers stay.
type keptRun struct {
	key   keptKey
	ready chan struct{} // closed when run or err is there
	run   *sealedRun
	err   error
	size  int64
	users int
	gone  bool // it left the list: the last user gives the buffers back
}

// kept is the list of runs, least recently used first.
type kept struct {
	buffers *buffers
	most    int64

	mu   sync.Mutex
	runs map[keptKey]*keptRun
	list []*keptRun
	held int64
}

func newKept(b *buffers, most int64) *kept {
	return &kept{buffers: b, most: most, runs: make(map[keptKey]*keptRun)}
}

// take returns a run, fetched by fetch unless it is kept. A caller that asks for a
// run while another fetches it waits. release must follow.
func (k *kept) take(ctx context.Context, key keptKey, size int64, fetch func() (*sealedRun, error)) (*keptRun, error) {
	for {
		r, mine := k.use(key, size)
		if mine {
			r.run, r.err = fetch()
			close(r.ready)
		}
		select {
		case <-r.ready:
		case <-ctx.Done():
			k.release(r)
			return nil, context.Cause(ctx)
		}
		if r.err == nil {
			return r, nil
		}
		k.drop(r)
		k.release(r)
		if mine || ctx.Err() != nil {
			return nil, r.err
		} // else it may have failed only because its fetcher was called off
	}
}

// use returns the run of a key as the most recently used one, and whether the
// caller is to fetch it.
func (k *kept) use(key keptKey, size int64) (r *keptRun, mine bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	r = k.runs[key]
	if r != nil {
		k.unlist(r)
	} else {
		for len(k.list) > 0 && k.held+size > k.most {
			k.evict(k.list[0])
		}
		mine, r = true, &keptRun{key: key, size: size, ready: make(chan struct{})}
		k.runs[key] = r
		k.held += size
	}
	k.list = append(k.list, r)
	r.users++
	return r, mine
}

func (k *kept) unlist(r *keptRun) {
	for i, x := range k.list {
		if x == r {
			k.list = append(k.list[:i], k.list[i+1:]...)
			return
		}
	}
}

// evict takes a run from the list. k.mu is held.
func (k *kept) evict(r *keptRun) {
	if r.gone {
		return
	}
	r.gone = true
	k.unlist(r)
	delete(k.runs, r.key)
	k.held -= r.size
	if r.users == 0 {
		r.run.release(k.buffers)
	}
}

func (k *kept) drop(r *keptRun) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.evict(r)
}

// release ends a use.
func (k *kept) release(r *keptRun) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if r.users--; r.users == 0 && r.gone {
		r.run.release(k.buffers)
	}
}

// isPacked reports whether an extent seems to lie among others, in a segment worth
// keeping.
func (s *source) isPacked(e *protocol.Extent) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.desc == nil || e.Length > s.desc.Size/2 {
		return false
	}
	s.reads++
	return s.desc.Size <= keptAtOnce || s.reads > 1
}

// readKept copies sealed bytes out of runs that are kept.
func (s *source) readKept(ctx context.Context, e *protocol.Extent, lo, hi int64) (*sealedRun, error) {
	d := s.descriptor()
	unit := d.ShardSize
	if d.Size <= keptWhole {
		unit = d.Size
	}
	buf := s.l.buffers.get(hi - lo)
	out := &sealedRun{pieces: []piece{{lo, buf}}}
	for i := lo / unit; i*unit < hi; i++ {
		from, to := i*unit, min((i+1)*unit, d.Size)
		fetch := func() (*sealedRun, error) { return s.readAgain(ctx, e, from, to) }
		r, err := s.l.kept.take(ctx, keptKey{s.ext.Segment, int(i)}, to-from, fetch)
		if err != nil {
			out.release(s.l.buffers)
			return nil, err
		}
		from, to = max(from, lo), min(to, hi)
		r.run.copyTo(buf[from-lo:to-lo], from)
		s.l.kept.release(r)
	}
	return out, nil
}
