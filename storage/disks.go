package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/cairnstore/cairn/protocol"
)

// Disks is a Store made of several, such as one for each donated folder. What
// belongs to a group lies in one of them: the one that holds something of the
// group already, otherwise the one with most bytes free. Only when that one is
// full does the rest go to another. Losing one store loses only its shards. While
// one is missing, a thing that is not found may lie there, so the answer is that
// store's error and not ErrNotFound.
type Disks struct {
	stores []Store

	mu     sync.Mutex // guards what follows
	coming map[protocol.GroupID]*arrival
}

// arrival is the store of a group while something is being written to it.
type arrival struct {
	store Store
	users int
}

var _ Store = (*Disks)(nil)

// NewDisks makes one store of at least one. Its Close closes them.
func NewDisks(stores ...Store) *Disks {
	return &Disks{stores: stores, coming: make(map[protocol.GroupID]*arrival)}
}

// Usages returns the Usage of each store, in the order in which they were given.
func (d *Disks) Usages() []Usage {
	all := make([]Usage, len(d.stores))
	for i, s := range d.stores {
		all[i] = s.Usage()
	}
	return all
}

// Usage implements Store. Bytes and counts are sums; Free is the sum over the
// stores that work. Err is nil as long as one works.
func (d *Disks) Usage() Usage {
	var sum Usage
	var errs []error
	for _, u := range d.Usages() {
		sum.Donated += u.Donated
		sum.Used += u.Used
		sum.Reserved += u.Reserved
		sum.Free = max(sum.Free, sum.Free+u.Free) // stores without limits overflow
		sum.Shards += u.Shards
		sum.Groups += u.Groups
		if u.Err != nil {
			errs = append(errs, u.Err)
		}
	}
	if len(errs) == len(d.stores) {
		sum.Err = errors.Join(errs...)
	}
	return sum
}

// home returns the store for the things of a group. The caller calls done when
// they are written.
func (d *Disks) home(ctx context.Context, g protocol.GroupID) (s Store, done func(), err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.coming[g]
	if a == nil {
		store, err := d.choose(ctx, g)
		if err != nil {
			return nil, nil, err
		}
		a = &arrival{store: store}
		d.coming[g] = a
	}
	a.users++
	return a.store, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if a.users--; a.users == 0 {
			delete(d.coming, g)
		}
	}, nil
}

// choose returns the store that has the group, if it can be written to, otherwise
// the one with the most room.
func (d *Disks) choose(ctx context.Context, g protocol.GroupID) (Store, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	var best Store
	var most int64
	var errs []error
	for _, s := range d.stores {
		u := s.Usage()
		if u.Err != nil {
			errs = append(errs, u.Err)
			continue
		}
		has, err := holds(ctx, s, g)
		if err != nil {
			return nil, err
		}
		if has {
			return s, nil
		}
		if best == nil || u.Free > most {
			best, most = s, u.Free
		}
	}
	if best == nil {
		return nil, errors.Join(errs...)
	}
	return best, nil
}

// holds reports whether a store has anything of a group. If somebody has ground a
// group's ID to have another one's prefix, the second of the two may be
// overlooked and then lies in two stores. That does no harm: reads ask all of
// them.
func holds(ctx context.Context, s Store, g protocol.GroupID) (bool, error) {
	id, err := s.GroupByPrefix(ctx, g.Prefix())
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	return id == g, err
}

// first returns the first answer that is no error, otherwise the worst error.
func first[T any](d *Disks, ask func(Store) (T, error)) (T, error) {
	var none T
	var errs []error
	for _, s := range d.stores {
		v, err := ask(s)
		if err == nil {
			return v, nil
		}
		errs = append(errs, err)
	}
	return none, worst(errs)
}

// worst returns the errors other than ErrNotFound; the first, if there are none.
func worst(errs []error) error {
	var others []error
	for _, err := range errs {
		if !errors.Is(err, ErrNotFound) {
			others = append(others, err)
		}
	}
	if len(others) == 0 {
		return errs[0]
	}
	return errors.Join(others...)
}

// PutShard implements Store.
func (d *Disks) PutShard(ctx context.Context, s *Shard) error {
	home, done, err := d.home(ctx, s.Group)
	if err != nil {
		return fmt.Errorf("put shard %s: %w", s.Key, err)
	}
	defer done()
	for _, other := range d.stores {
		if other == home {
			continue
		}
		r, err := other.OpenShard(ctx, s.Key)
		if err != nil {
			continue // not held there, or not known: at worst there will be a second copy
		}
		_ = r.Close()                 // nothing was written
		return other.PutShard(ctx, s) // which mends it, if it is damaged
	}
	return d.overflow(home, func(to Store) error { return to.PutShard(ctx, s) })
}

// overflow puts something into a group's store, or into another if that is full.
func (d *Disks) overflow(home Store, put func(Store) error) error {
	full := put(home)
	if !errors.Is(full, ErrFull) {
		return full
	}
	for _, s := range d.stores {
		if s == home {
			continue
		}
		if err := put(s); err == nil {
			return nil
		}
	}
	return full
}

// OpenShard implements Store.
func (d *Disks) OpenShard(ctx context.Context, key ShardKey) (ShardReader, error) {
	return first(d, func(s Store) (ShardReader, error) { return s.OpenShard(ctx, key) })
}

// Verify implements Store.
func (d *Disks) Verify(ctx context.Context, key ShardKey) error {
	_, err := first(d, func(s Store) (struct{}, error) { return struct{}{}, s.Verify(ctx, key) })
	return err
}

// DeleteShard implements Store. It fails while a store is missing: the shard
// may lie there.
func (d *Disks) DeleteShard(ctx context.Context, key ShardKey) error {
	return d.all(func(s Store) error { return s.DeleteShard(ctx, key) })
}

// DeleteFact implements Store. It fails while a store is missing.
func (d *Disks) DeleteFact(ctx context.Context, g protocol.GroupID, id protocol.Hash) error {
	return d.all(func(s Store) error { return s.DeleteFact(ctx, g, id) })
}

func (d *Disks) all(do func(Store) error) error {
	var errs []error
	for _, s := range d.stores {
		errs = append(errs, do(s))
	}
	return errors.Join(errs...)
}

// PutFact implements Store.
func (d *Disks) PutFact(ctx context.Context, facts ...Fact) error {
	for len(facts) > 0 {
		g := facts[0].Group
		var own, rest []Fact
		for _, f := range facts {
			if f.Group == g {
				own = append(own, f)
			} else {
				rest = append(rest, f)
			}
		}
		home, done, err := d.home(ctx, g)
		if err != nil {
			return fmt.Errorf("put facts: %w", err)
		}
		err = d.overflow(home, func(to Store) error { return to.PutFact(ctx, own...) })
		done()
		if err != nil {
			return err
		}
		facts = rest
	}
	return nil
}

// Find implements Store.
func (d *Disks) Find(ctx context.Context, seg protocol.SegmentID) (ShardKey, error) {
	return first(d, func(s Store) (ShardKey, error) { return s.Find(ctx, seg) })
}

// GroupByPrefix implements Store.
func (d *Disks) GroupByPrefix(ctx context.Context, p protocol.GroupPrefix) (protocol.GroupID, error) {
	return first(d, func(s Store) (protocol.GroupID, error) { return s.GroupByPrefix(ctx, p) })
}

// Facts implements Store.
func (d *Disks) Facts(ctx context.Context, g protocol.GroupID) iter.Seq2[Fact, error] {
	return merge(d, func(s Store) iter.Seq2[Fact, error] { return s.Facts(ctx, g) }, func(a, b Fact) int {
		x, y := a.ID(), b.ID()
		return bytes.Compare(x[:], y[:])
	})
}

// FactInfos implements Store.
func (d *Disks) FactInfos(ctx context.Context, g protocol.GroupID) iter.Seq2[FactInfo, error] {
	return merge(d, func(s Store) iter.Seq2[FactInfo, error] { return s.FactInfos(ctx, g) }, func(a, b FactInfo) int {
		return bytes.Compare(a.ID[:], b.ID[:])
	})
}

// Fact implements Store.
func (d *Disks) Fact(ctx context.Context, g protocol.GroupID, id protocol.Hash) (Fact, error) {
	return first(d, func(s Store) (Fact, error) { return s.Fact(ctx, g, id) })
}

// Shards implements Store.
func (d *Disks) Shards(ctx context.Context, g protocol.GroupID) iter.Seq2[ShardInfo, error] {
	return merge(d, func(s Store) iter.Seq2[ShardInfo, error] { return s.Shards(ctx, g) }, func(a, b ShardInfo) int {
		return a.Key.compare(b.Key)
	})
}

// Groups implements Store.
func (d *Disks) Groups(ctx context.Context) iter.Seq2[protocol.GroupID, error] {
	return merge(d, func(s Store) iter.Seq2[protocol.GroupID, error] { return s.Groups(ctx) }, func(a, b protocol.GroupID) int {
		return bytes.Compare(a[:], b[:])
	})
}

// Close implements Store.
func (d *Disks) Close() error { return d.all(func(s Store) error { return s.Close() }) }
