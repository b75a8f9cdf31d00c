package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/storage"
)

const (
	// mendShare is the part of the donation that a node fetches in Timing.MendMonth
	// to mend its own shards: a disk that rots faster is to be replaced, and what
	// it held is repaired elsewhere.
	mendShare = 100
	// mendFloor is what it may fetch in any case, so that a small donation can
	// mend a shard, too.
	mendFloor = 256 << 20
)

// mending is what this node does about its own damage.
type mending struct {
	retry, month, first time.Duration // Timing's MendRetry, MendMonth and ConfessFirst

	once sync.Mutex    // one shard at a time
	wake chan struct{} // damage was found

	mu    sync.Mutex
	tried map[storage.ShardKey]try
	spent int64     // bytes fetched
	since time.Time // since when
}

// try says when a shard that could not be mended is tried again.
type try struct {
	begun time.Time // the last try; while the clock, set back, is before it, the next is due
	next  time.Time
	tries int
	asked bool // co-members were asked, and said to come again
}

func newMending(t Timing) *mending {
	return &mending{retry: t.MendRetry, month: t.MendMonth, first: t.ConfessFirst, wake: make(chan struct{}, 1), tried: make(map[storage.ShardKey]try)}
}

// mendLoop mends what the disk damages and what never came.
func (n *Node) mendLoop(ctx context.Context) {
	for pause(ctx, n.mending.wait(n.rand.jitter(n.mending.retry), n.now()), n.mending.wake) {
		if err := n.mendOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("mending", "err", err)
		}
	}
}

// mendOnce mends the damaged and the missing shards that are due.
func (n *Node) mendOnce(ctx context.Context) error {
	m := n.mending
	m.once.Lock()
	defer m.once.Unlock()
	if n.store.Usage().Err != nil {
		return nil // nothing can be kept: loans would be used up in vain
	}
	list := n.toMend()
	m.forget(list)
	if len(list) == 0 || n.neighbours.CutOff() {
		return nil
	}
	var all error
	for key, g := range list {
		if ctx.Err() != nil || !m.due(key, n.now()) || n.frees.has(kin{g, key.Segment}) || n.verdicts.has(kin{g, key.Segment}) {
			continue
		}
		err := n.mendShard(ctx, g, key)
		if errors.Is(err, errMendAsked) && m.again(key, n.now()) {
			continue
		}
		if err != nil {
			m.failed(key, n.now())
			all = errors.Join(all, fmt.Errorf("mend shard %s of group %s: %w", key, g.Prefix(), err))
			continue
		}
		m.done(key)
		n.count.mended.Add(1)
		n.log.Info("a shard that was damaged or missing is whole", "group", g.Prefix(), "segment", key.Segment)
	}
	return all
}

// toMend returns the shards of its own that this node is to rebuild, with their
// groups: those that the disk damaged, and those that never came. For the latter it
// first gives their owner or a repairer ExchangeEvery to bring them, and leaves them
// to repair if that is about to begin: repair fetches k shards for all that are
// missing, this node k for its own alone.
func (n *Node) toMend() map[storage.ShardKey]protocol.GroupID {
	list := n.scrub.damages()
	for id, segments := range n.neighbours.Missing(n.cfg.Timing.ExchangeEvery, leastLent) {
		if !n.isAlive(id) || n.exchange.isStale(id) {
			continue
		}
		v := n.neighbours.Roll(id)
		if v == nil {
			continue
		}
		for _, s := range segments {
			if !n.awaitsRepair(v, s) {
				list[storage.ShardKey{Segment: s, Slot: uint8(v.Own())}] = id
			}
		}
	}
	return list
}

// awaitsRepair reports whether a segment is about to be repaired, as this node
// sees it. It waits for half of ConfessedFor at most; then it helps itself.
func (n *Node) awaitsRepair(v *neighbours.Roll, s protocol.SegmentID) bool {
	t := group.NewTally(v.Table.Slots(), v.View)
	return group.Assess(v.Table.Profile, t.Count(v.Lacking(s))).NeedsRepair() &&
		n.repairs.waited(v.ID, n.neighbours.Now()) < n.cfg.Timing.ConfessedFor/2
}

// mendPause is the least time between two looks at what is damaged: tries that
// are due may have to wait, as while this node is cut off.
const mendPause = 5 * time.Second

// wait returns how long it is until a try is due, at most most.
func (m *mending) wait(most time.Duration, now time.Time) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, t := range m.tried {
		most = min(most, max(t.next.Sub(now), mendPause))
	}
	return most
}

// due reports whether a shard is to be tried now.
func (m *mending) due(key storage.ShardKey, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t, ok := m.tried[key]
	return !ok || !now.Before(t.next) || now.Before(t.begun)
}

// failed plans the next try: after a while, then later each time, up to 24
// times as long.
func (m *mending) failed(key storage.ShardKey, now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tried[key]
	t.begun, t.next = now, now.Add(m.retry*time.Duration(min(1<<min(t.tries, 5), 24)))
	t.tries++
	m.tried[key] = t
}

// again plans the next try for when co-members lend what they were asked for;
// it reports false where that was tried before.
func (m *mending) again(key storage.ShardKey, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tried[key]
	first := !t.asked
	t.asked, t.begun, t.next = first, now, now.Add(2*m.first)
	m.tried[key] = t
	return first
}

// forget drops tries of all shards but those that are still to be mended.
func (m *mending) forget(still map[storage.ShardKey]protocol.GroupID) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.tried {
		if _, due := still[key]; !due {
			delete(m.tried, key)
		}
	}
}

func (m *mending) done(key storage.ShardKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.tried, key)
}

var errMendBudget = errors.New("this month's share for mending is used up")

// mayFetch returns an error where the month's share of a donation does not have
// that many bytes left.
func (m *mending) mayFetch(bytes, donated int64, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if age := now.Sub(m.since); age >= m.month || age < 0 {
		m.since, m.spent = now, 0
	}
	if m.spent+bytes > max(donated/mendShare, mendFloor) {
		return errMendBudget
	}
	return nil
}

// fetched counts bytes against the month's share.
func (m *mending) fetched(bytes int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.spent += int64(bytes)
}

var errTooFewLend = errors.New("too few co-members give their shards")

// errMendAsked says that co-members have noted that this node lacks a shard, and
// will lend theirs in a while.
var errMendAsked = errors.New("co-members ask to come again")

// mendShard rebuilds a shard of this node's from k of its co-members' and puts
// it where the damaged one was.
func (n *Node) mendShard(ctx context.Context, g protocol.GroupID, key storage.ShardKey) error {
	p, _, held := n.neighbours.SlotsOf(g)
	if !held {
		return protocol.Refuse(protocol.CodeNotFound, "group %s is not held", g.Prefix())
	}
	if !n.scrub.isDamaged(key) {
		// For a shard that never came nothing is fetched if it could not be kept.
		if err := n.deal.may(contract.Deed{Kind: contract.Store, Class: contract.Repair, Bytes: protocol.MaxShardSize}, n.now()); err != nil {
			return err
		}
	}
	b := &borrowing{Node: n, group: g, key: key, size: protocol.MaxShardSize}
	if b.describe(ctx); b.d == nil {
		f, err := n.factsOf(ctx, g)
		if err != nil {
			return err
		}
		b.size = f.shardSize(key.Segment, p)
	} else {
		b.size = b.d.ShardSize
	}
	if err := n.mending.mayFetch(int64(p.K)*b.size, n.cfg.Donated, n.now()); err != nil {
		return err
	}
	free, err := n.repairRoom(ctx, int64(p.K+1)*b.size)
	if err != nil {
		return err
	}
	defer free()
	if err := b.fetch(ctx, p.K); err != nil {
		return err
	}
	data, outboard, err := rebuild(b.d, b.shards, int(key.Slot))
	if errors.Is(err, errInconsistent) {
		n.condemn(ctx, kin{g, key.Segment})
	}
	if err != nil {
		return err
	}
	if !n.scrub.isDamaged(key) {
		return n.keepMissed(ctx, b, data)
	}
	s := &storage.Shard{Key: key, Group: g, Descriptor: b.desc, Data: data, Outboard: outboard}
	if err := n.store.PutShard(context.WithoutCancel(ctx), s); err != nil {
		return fmt.Errorf("store the shard: %w", err)
	}
	if _, _, held := n.neighbours.SlotsOf(g); !held { // it was freed meanwhile
		return n.store.DeleteShard(context.WithoutCancel(ctx), key)
	}
	n.shardMended(ctx, g, key)
	return nil
}

// keepMissed takes a shard that never came, as if it came now.
func (n *Node) keepMissed(ctx context.Context, b *borrowing, raw []byte) error {
	f, err := n.factsOf(ctx, b.group)
	if err != nil {
		return err
	}
	grant, granted := f.grants[b.key.Segment]
	if !granted {
		return protocol.Refuse(protocol.CodeDeleted, "segment %s", b.key.Segment)
	}
	g, err := n.store.Fact(ctx, b.group, grant.ID)
	if err != nil {
		return fmt.Errorf("read grant: %w", err)
	}
	return n.keepOwn(ctx, b.group, &protocol.PutRequest{
		Record: f.record, Slot: int(b.key.Slot), Descriptor: b.desc, Grant: g.Bytes, Length: int64(len(raw)),
	}, raw)
}

// damages returns the shards that are known to be damaged, with their groups.
func (s *scrubber) damages() map[storage.ShardKey]protocol.GroupID {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[storage.ShardKey]protocol.GroupID, len(s.damaged))
	for k, g := range s.damaged {
		out[k] = g
	}
	return out
}
