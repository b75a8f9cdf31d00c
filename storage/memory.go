package storage

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Memory is a Store without a disk: Disk's twin for tests and simulations. It
// keeps copies, charges them as Disk would, and loses all of it on Close.
type Memory struct {
	quota int64
	now   func() time.Time

	mu     sync.RWMutex // guards what follows
	closed bool
	away   bool
	used   int64
	shards map[ShardKey]*memoryShard
	groups map[protocol.GroupID]*memoryGroup
}

type memoryShard struct {
	Shard
	stored time.Time
}

type memoryGroup struct {
	shards map[ShardKey]*memoryShard
	facts  map[protocol.Hash]Fact
}

var _ Store = (*Memory)(nil)

// NewMemory returns an empty store. Of the Config it uses Quota (0: no limit)
// and Now.
func NewMemory(cfg Config) *Memory {
	cfg = cfg.withDefaults()
	return &Memory{
		quota: cfg.Quota, now: cfg.Now,
		shards: make(map[ShardKey]*memoryShard),
		groups: make(map[protocol.GroupID]*memoryGroup),
	}
}

// PutShard implements Store.
func (m *Memory) PutShard(ctx context.Context, s *Shard) error {
	if err := m.putShard(ctx, s); err != nil {
		return fmt.Errorf("put shard %s: %w", s.Key, err)
	}
	return nil
}

func (m *Memory) putShard(ctx context.Context, s *Shard) error {
	if err := s.check(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return err
	}
	if old := m.shards[s.Key]; old != nil {
		if old.Group != s.Group {
			return ErrConflict
		}
		return nil
	}
	if err := m.charge(s.recordSize()); err != nil {
		return err
	}
	kept := &memoryShard{stored: m.now(), Shard: Shard{
		Key: s.Key, Group: s.Group,
		Descriptor: bytes.Clone(s.Descriptor), Data: bytes.Clone(s.Data), Outboard: bytes.Clone(s.Outboard),
	}}
	m.shards[s.Key] = kept
	m.group(s.Group).shards[s.Key] = kept
	return nil
}

func (m *Memory) usable(ctx context.Context) error {
	switch {
	case m.closed:
		return ErrClosed
	case m.away:
		return ErrSuspended
	}
	return ctx.Err()
}

// Unmount takes the disk away, as if a Disk's sentinel were missing, or brings it
// back with all that was on it.
func (m *Memory) Unmount(away bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.away = away
}

func (m *Memory) charge(n int64) error {
	if m.quota > 0 && m.used+n > m.quota {
		return ErrFull
	}
	m.used += n
	return nil
}

func (m *Memory) group(g protocol.GroupID) *memoryGroup {
	if m.groups[g] == nil {
		m.groups[g] = &memoryGroup{shards: make(map[ShardKey]*memoryShard), facts: make(map[protocol.Hash]Fact)}
	}
	return m.groups[g]
}

// drop forgets a group of which nothing is left.
func (m *Memory) drop(g protocol.GroupID) {
	if k := m.groups[g]; k != nil && len(k.shards)+len(k.facts) == 0 {
		delete(m.groups, g)
	}
}

// OpenShard implements Store.
func (m *Memory) OpenShard(ctx context.Context, key ShardKey) (ShardReader, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	err := m.usable(ctx)
	s := m.shards[key]
	if err == nil && s == nil {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("open shard %s: %w", key, err)
	}
	return memoryReader{s, bytes.NewReader(s.Data)}, nil
}

// memoryReader reads a shard, which never changes.
type memoryReader struct {
	s *memoryShard
	io.ReaderAt
}

func (r memoryReader) Info() ShardInfo           { return r.s.info() }
func (r memoryReader) Descriptor() []byte        { return r.s.Shard.Descriptor }
func (r memoryReader) Outboard() ([]byte, error) { return r.s.Shard.Outboard, nil }
func (r memoryReader) Close() error              { return nil }

func (r memoryReader) ReadAll(dst []byte) error {
	if len(dst) != len(r.s.Data) {
		return ErrLimit
	}
	copy(dst, r.s.Data)
	return nil
}

func (s *memoryShard) info() ShardInfo {
	return ShardInfo{Key: s.Key, Group: s.Group, Size: int64(len(s.Data)), Stored: s.stored}
}

// Verify implements Store. Memory does not rot.
func (m *Memory) Verify(ctx context.Context, key ShardKey) error {
	r, err := m.OpenShard(ctx, key)
	if err != nil {
		return err
	}
	return r.Close()
}

// DeleteShard implements Store.
func (m *Memory) DeleteShard(ctx context.Context, key ShardKey) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return fmt.Errorf("delete shard %s: %w", key, err)
	}
	if s := m.shards[key]; s != nil {
		m.used -= s.recordSize()
		delete(m.shards, key)
		delete(m.groups[s.Group].shards, key)
		m.drop(s.Group)
	}
	return nil
}

// PutFact implements Store.
func (m *Memory) PutFact(ctx context.Context, facts ...Fact) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.putFacts(ctx, facts); err != nil {
		return fmt.Errorf("put facts: %w", err)
	}
	return nil
}

func (m *Memory) putFacts(ctx context.Context, facts []Fact) error {
	if err := m.usable(ctx); err != nil {
		return err
	}
	for _, f := range facts {
		if len(f.Bytes) > MaxFact {
			return ErrLimit
		}
	}
	for _, f := range facts {
		id := f.ID()
		if k := m.groups[f.Group]; k != nil {
			if _, held := k.facts[id]; held {
				continue
			}
		}
		if err := m.charge(f.recordSize()); err != nil {
			return err
		}
		f.Bytes = bytes.Clone(f.Bytes)
		m.group(f.Group).facts[id] = f
	}
	return nil
}

// DeleteFact implements Store.
func (m *Memory) DeleteFact(ctx context.Context, g protocol.GroupID, id protocol.Hash) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.usable(ctx); err != nil {
		return fmt.Errorf("delete fact %s: %w", id, err)
	}
	if k := m.groups[g]; k != nil {
		if f, held := k.facts[id]; held {
			m.used -= f.recordSize()
			delete(k.facts, id)
			m.drop(g)
		}
	}
	return nil
}

// Usage implements Store.
func (m *Memory) Usage() Usage {
	m.mu.RLock()
	defer m.mu.RUnlock()
	u := Usage{Donated: m.quota, Used: m.used, Free: math.MaxInt64, Shards: len(m.shards), Groups: len(m.groups)}
	if m.quota > 0 {
		u.Free = m.quota - m.used
	}
	if u.Err = m.usable(context.Background()); u.Err != nil {
		u.Free = 0
	}
	return u
}

// Close implements Store.
func (m *Memory) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	return nil
}
