package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// expireStep is how many shards or facts of an expired group one round of upkeep
// frees: a full group has thousands, and other work is not to wait.
const expireStep = 256

// leases knows of each group held how long it is kept without hearing that its
// owner lives. It follows from facts and notes of the store.
type leases struct {
	set  group.LeaseSettings
	mono func() time.Duration

	mu      sync.Mutex
	groups  map[protocol.GroupID]group.Lease
	median  time.Time     // of the neighbours' clocks when upkeep last asked; zero: unknown
	at      time.Duration // when that was, by mono, which no step of the clock moves
	stepped bool
}

func newLeases(set group.LeaseSettings, mono func() time.Duration) *leases {
	return &leases{set: set, mono: mono, groups: make(map[protocol.GroupID]group.Lease)}
}

// begin takes in a group that is held: since when this node knows it, whether
// it joined it later than others, and the date of its newest renewal (0: none).
func (l *leases) begin(id protocol.GroupID, seen time.Time, joined bool, renewal int64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, ok := l.groups[id]; !ok {
		l.groups[id] = l.lease(seen, joined, renewal, now)
	}
}

// lease returns what follows from a group's notes and facts. A renewal that was
// taken in time counts, even if the clock was set back since.
func (l *leases) lease(seen time.Time, joined bool, renewal int64, now time.Time) group.Lease {
	v := group.NewLease(seen, joined)
	if renewal > 0 {
		v, _ = v.Renewed(&l.set, min(renewal, now.Add(l.set.Ahead).Unix()), now)
	}
	return v
}

// beginLease begins the lease of a group that was founded here just now.
func (n *Node) beginLease(g *truth.Group) {
	_, table, err := g.Founded()
	if err != nil {
		return
	}
	now := n.now()
	n.leases.begin(g.ID, now, table.SlotOf(n.self) < 0, g.LastRenewal(), now)
}

// renewed notes a renewal that counts.
func (l *leases) renewed(id protocol.GroupID, at int64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v, ok := l.groups[id]; ok {
		l.groups[id], _ = v.Renewed(&l.set, at, now)
	}
}

// last returns the date of a group's newest renewal, in Unix seconds; 0: none came.
func (l *leases) last(id protocol.GroupID) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.groups[id].Last
}

func (l *leases) forget(id protocol.GroupID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.groups, id)
}

// setClocks notes what the neighbours' clocks say.
func (l *leases) setClocks(median time.Time, stepped bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.median, l.at, l.stepped = median, l.mono(), stepped
}

// clocks returns the clocks by which leases are judged. mu is held.
func (l *leases) clocks(now time.Time) group.Clocks {
	c := group.Clocks{Own: now, Stepped: l.stepped}
	if !l.median.IsZero() {
		c.Median = l.median.Add(l.mono() - l.at)
	}
	return c
}

// state returns the state of a group's lease; Alive for a group that is not held.
func (l *leases) state(id protocol.GroupID, now time.Time) group.LeaseState {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.groups[id]
	if !ok {
		return group.Alive
	}
	return v.State(&l.set, l.clocks(now))
}

// count returns how many groups are in each state.
func (l *leases) count(now time.Time) (n [group.Expired + 1]int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clocks(now)
	for _, v := range l.groups {
		n[v.State(&l.set, c)]++
	}
	return n
}

// expired returns the groups to be freed, in order of their IDs.
func (l *leases) expired(now time.Time) (out []protocol.GroupID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c := l.clocks(now)
	for id, v := range l.groups {
		if v.State(&l.set, c) == group.Expired {
			out = append(out, id)
		}
	}
	slices.SortFunc(out, protocol.CompareIDs)
	return out
}

// isAlive reports whether a group's shards may be put, mended and repaired.
func (n *Node) isAlive(id protocol.GroupID) bool { return n.leases.state(id, n.now()) == group.Alive }

// checkLease refuses what only a living lease allows.
func (n *Node) checkLease(id protocol.GroupID) error {
	if n.isAlive(id) {
		return nil
	}
	return protocol.Refuse(protocol.CodeLimit, "the owner of group %s has not been heard of for long: offer a renewal", id.Prefix())
}

// checkOffered refuses to found a group whose newest renewal offered is too old
// to keep it: a member whose clock is late would bring back what has ended.
func (n *Node) checkOffered(rec *protocol.GroupRecord, id protocol.GroupID, offer []protocol.Fact) error {
	var newest int64
	for _, f := range offer {
		if f.Kind != protocol.FactRenewal {
			continue
		}
		if v, err := protocol.OpenRenewal(rec, id, f.Bytes); err == nil {
			newest = max(newest, v.At)
		}
	}
	now := n.now()
	n.leases.mu.Lock()
	defer n.leases.mu.Unlock()
	if newest == 0 || n.leases.lease(now, true, newest, now).State(&n.leases.set, n.leases.clocks(now)) == group.Alive {
		return nil
	}
	return protocol.Refuse(protocol.CodeLimit, "the renewal of group %s is too old", id.Prefix())
}

// leaseOnce frees groups whose leases have ended, a part at a time.
func (n *Node) leaseOnce(ctx context.Context) error {
	median, _, stepped := n.neighbours.Clocks(n.leases.set.Distrust)
	n.leases.setClocks(median, stepped)
	room := expireStep
	for _, id := range n.leases.expired(n.now()) {
		if room <= 0 || ctx.Err() != nil {
			return nil
		}
		freed, err := n.expire(ctx, id, room)
		room -= freed
		if err != nil {
			return fmt.Errorf("free expired group %s: %w", id.Prefix(), err)
		}
	}
	return nil
}

// expire frees at most room shards and facts of a group whose lease has ended,
// and returns how many.
func (n *Node) expire(ctx context.Context, id protocol.GroupID, room int) (freed int, err error) {
	g, release, err := n.groups.OpenTurn(ctx, id)
	if err != nil {
		return 0, err
	}
	defer release()
	if n.leases.state(id, n.now()) != group.Expired {
		return 0, nil // renewed while it waited for its turn
	}
	n.log.Info("lease has ended: freeing", "group", id.Prefix())
	freed, _, err = n.wipe(ctx, g, room)
	return freed, err
}
