package node

import (
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// partials are the shards of repairs that could not be finished because too few
// were lent. A holder lends a segment once a day: what it gave is kept until the
// next try, so that this needs only the rest. Each was checked against its root.
type partials struct {
	mu    sync.Mutex
	m     map[kin]partial
	bytes int64
}

type partial struct {
	d     *protocol.Descriptor
	desc  []byte
	have  [][]byte // by slot
	bytes int64
	until time.Duration // on neighbours' watch
}

// maxPartial bounds the bytes that wait for the rest.
const maxPartial = 64 << 20

func newPartials() *partials { return &partials{m: make(map[kin]partial)} }

// keep remembers what a collection has got, if there is room.
func (l *partials) keep(k kin, c *collection, until time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.m[k]; known || c.got == 0 {
		return
	}
	if size := int64(c.got) * c.d.ShardSize; l.bytes+size <= maxPartial {
		l.bytes += size
		l.m[k] = partial{c.d, c.desc, c.have, size, until}
	}
}

// take gives out what was kept of a segment, and forgets it and all that is too
// old.
func (l *partials) take(k kin, now time.Duration) (p partial, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for old, v := range l.m {
		if old == k || now >= v.until {
			delete(l.m, old)
			l.bytes -= v.bytes
		}
		if old == k && now < v.until {
			p, ok = v, true
		}
	}
	return p, ok
}

// resume goes on where an earlier collection of the segment ended.
func (c *collection) resume() {
	p, ok := c.repairs.partial.take(kin{c.job.roll.ID, c.job.segment}, c.neighbours.Now())
	if !ok {
		return
	}
	if c.d == nil {
		c.d, c.desc, c.have = p.d, p.desc, make([][]byte, p.d.N)
	}
	for slot, raw := range p.have {
		if raw != nil && c.have[slot] == nil && c.got < c.k {
			c.have[slot] = raw
			c.got++
		}
	}
}
