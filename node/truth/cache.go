package truth

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// partialFor is how long a group is kept of which a folder was missing when it was
// loaded. The rest may come back at any time, so it is loaded anew then; but not for
// each of the forty questions of one comparison, or a member that compares a large
// group would use up what is read from the disk for it.
const partialFor = 10 * time.Second

// Cache keeps the states of the groups in use and, within a number of bytes, of
// those used last. All users of one group share one state.
type Cache struct {
	load func(context.Context, protocol.GroupID) (*Group, error)
	mono func() time.Duration // a clock that is never set
	most int64                // bytes

	mu      sync.Mutex
	entries map[protocol.GroupID]*cacheEntry
	order   *list.List // of *cacheEntry; the last used in front
	bytes   int64
}

type cacheEntry struct {
	id    protocol.GroupID
	ready chan struct{} // closed once state or err is set
	state *Group
	err   error
	read  time.Duration // when it was loaded; set before ready is closed
	refs  int
	gone  bool // no longer in entries
	size  int64
	place *list.Element
}

// NewCache returns an empty Cache, which keeps unused groups within most bytes, loads
// a group by load, and tells by mono, a clock that is never set, how old a state is.
func NewCache(most int64, mono func() time.Duration, load func(context.Context, protocol.GroupID) (*Group, error)) *Cache {
	return &Cache{
		load: load, mono: mono, most: most,
		entries: make(map[protocol.GroupID]*cacheEntry), order: list.New(),
	}
}

// Open returns a group's state, empty for a group that is not held, and a
// function that gives it back.
func (c *Cache) Open(ctx context.Context, id protocol.GroupID) (*Group, func(), error) {
	c.mu.Lock()
	e, ok := c.entries[id]
	if ok && c.isOld(e) {
		c.remove(e)
		ok = false
	}
	if !ok {
		e = &cacheEntry{id: id, ready: make(chan struct{})}
		e.place = c.order.PushFront(e)
		c.entries[id] = e
	}
	e.refs++
	c.mu.Unlock()
	if !ok {
		// Others wait for this load: it does not end with its first asker.
		e.state, e.err = c.load(context.WithoutCancel(ctx), id)
		e.read = c.mono()
		close(e.ready)
	}
	select {
	case <-e.ready:
	case <-ctx.Done():
		c.release(e)
		return nil, nil, context.Cause(ctx)
	}
	if e.err != nil {
		c.release(e)
		return nil, nil, e.err
	}
	return e.state, func() { c.release(e) }, nil
}

// OpenTurn is Open, and takes the group's turn as well.
func (c *Cache) OpenTurn(ctx context.Context, id protocol.GroupID) (*Group, func(), error) {
	for {
		g, release, err := c.Open(ctx, id)
		if err != nil {
			return nil, nil, err
		}
		if err := g.take(ctx); err != nil {
			release()
			return nil, nil, err
		}
		if !g.forgotten {
			return g, func() { g.give(); release() }, nil
		}
		g.give()
		release()
	}
}

// Forget makes the next Open load the group anew: the state differs from what the
// store has. The caller has the group's turn.
func (c *Cache) Forget(g *Group) {
	g.forgotten = true
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.entries[g.ID]; e != nil && e.loaded() == g {
		c.remove(e)
	}
}

// remove takes an entry out. mu is held.
func (c *Cache) remove(e *cacheEntry) {
	if e.gone {
		return
	}
	e.gone = true
	delete(c.entries, e.id)
	c.order.Remove(e.place)
	c.bytes -= e.size
}

func (c *Cache) release(e *cacheEntry) {
	var size int64
	keep := false
	if s := e.loaded(); s != nil {
		size = s.Size()
		keep = s.IsFounded()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	e.refs--
	if e.gone {
		return
	}
	if !keep && e.refs == 0 {
		c.remove(e)
		return
	}
	c.bytes += size - e.size
	e.size = size
	c.order.MoveToFront(e.place)
	c.shrink()
}

// isOld reports whether nobody uses an entry and the rest of its group may be back.
// mu is held.
func (c *Cache) isOld(e *cacheEntry) bool {
	s := e.loaded()
	return e.refs == 0 && s != nil && s.Partial && c.mono()-e.read >= partialFor
}

// loaded returns the state, or nil while it is not there.
func (e *cacheEntry) loaded() *Group {
	select {
	case <-e.ready:
		return e.state
	default:
		return nil
	}
}

// Has reports whether a group is in memory.
func (c *Cache) Has(id protocol.GroupID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.entries[id]
	return ok && !c.isOld(e)
}

// Len returns how many groups are in memory.
func (c *Cache) Len() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.entries)
}

// shrink drops the longest unused states. mu is held.
func (c *Cache) shrink() {
	for at := c.order.Back(); at != nil && c.bytes > c.most; {
		e := at.Value.(*cacheEntry)
		at = at.Prev()
		if e.refs == 0 {
			c.remove(e)
		}
	}
}
