package storage

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"

	"github.com/cairnstore/cairn/protocol"
)

// Facts implements Store.
func (m *Memory) Facts(ctx context.Context, g protocol.GroupID) iter.Seq2[Fact, error] {
	return list(ctx, m, "list facts", func() []Fact {
		k := m.groups[g]
		if k == nil {
			return nil
		}
		ids := slices.SortedFunc(maps.Keys(k.facts), func(a, b protocol.Hash) int { return bytes.Compare(a[:], b[:]) })
		facts := make([]Fact, len(ids))
		for i, id := range ids {
			facts[i] = k.facts[id]
			facts[i].Bytes = bytes.Clone(facts[i].Bytes)
		}
		return facts
	})
}

// FactInfos implements Store.
func (m *Memory) FactInfos(ctx context.Context, g protocol.GroupID) iter.Seq2[FactInfo, error] {
	return func(yield func(FactInfo, error) bool) {
		for f, err := range m.Facts(ctx, g) {
			info := FactInfo{Group: g, Kind: f.Kind, Size: int64(len(f.Bytes))}
			if err == nil {
				info.ID = f.ID()
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

// Fact implements Store.
func (m *Memory) Fact(ctx context.Context, g protocol.GroupID, id protocol.Hash) (Fact, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	err := m.usable(ctx)
	if err == nil {
		if k := m.groups[g]; k != nil {
			if f, ok := k.facts[id]; ok {
				f.Bytes = bytes.Clone(f.Bytes)
				return f, nil
			}
		}
		err = ErrNotFound
	}
	return Fact{}, fmt.Errorf("read fact %s of %s: %w", id, g, err)
}

// Groups implements Store.
func (m *Memory) Groups(ctx context.Context) iter.Seq2[protocol.GroupID, error] {
	return list(ctx, m, "list groups", m.sortedGroups)
}

func (m *Memory) sortedGroups() []protocol.GroupID {
	return slices.SortedFunc(maps.Keys(m.groups), func(a, b protocol.GroupID) int { return bytes.Compare(a[:], b[:]) })
}

// GroupByPrefix implements Store.
func (m *Memory) GroupByPrefix(ctx context.Context, p protocol.GroupPrefix) (protocol.GroupID, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	err := m.usable(ctx)
	if err == nil {
		for _, g := range m.sortedGroups() {
			if g.Prefix() == p {
				return g, nil
			}
		}
		err = ErrNotFound
	}
	return protocol.GroupID{}, fmt.Errorf("find group %s: %w", p, err)
}

// Shards implements Store.
func (m *Memory) Shards(ctx context.Context, g protocol.GroupID) iter.Seq2[ShardInfo, error] {
	return list(ctx, m, "list shards", func() []ShardInfo {
		k := m.groups[g]
		if k == nil {
			return nil
		}
		var infos []ShardInfo
		for _, key := range slices.SortedFunc(maps.Keys(k.shards), ShardKey.compare) {
			infos = append(infos, k.shards[key].info())
		}
		return infos
	})
}

// list yields what snapshot returns, unless the store is closed or ctx has ended.
func list[T any](ctx context.Context, m *Memory, op string, snapshot func() []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		m.mu.RLock()
		err := m.usable(ctx)
		var items []T
		if err == nil {
			items = snapshot()
		}
		m.mu.RUnlock()
		for _, it := range items {
			if err = ctx.Err(); err != nil {
				break
			}
			if !yield(it, nil) {
				return
			}
		}
		if err != nil {
			var zero T
			yield(zero, fmt.Errorf("%s: %w", op, err))
		}
	}
}

// Find implements Store.
func (m *Memory) Find(ctx context.Context, s protocol.SegmentID) (ShardKey, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	err := m.usable(ctx)
	for slot := 0; err == nil && slot <= math.MaxUint8; slot++ {
		key := ShardKey{Segment: s, Slot: uint8(slot)}
		if m.shards[key] != nil {
			return key, nil
		}
	}
	if err == nil {
		err = ErrNotFound
	}
	return ShardKey{}, fmt.Errorf("find segment %s: %w", s, err)
}
