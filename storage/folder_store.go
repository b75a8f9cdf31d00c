package storage

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/cairnstore/cairn/protocol"
)

// current returns the open store, or why there is none.
func (f *Folder) current() (*Disk, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, ErrClosed
	case f.disk == nil:
		return nil, f.was.Err
	}
	return f.disk, nil
}

// told turns an error of the store into the Folder's: a store that was closed
// meanwhile, because its disk went, is suspended and may come back.
func (f *Folder) told(err error) error {
	if !errors.Is(err, ErrClosed) {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return err
	}
	return fmt.Errorf("%w while it was asked", ErrSuspended)
}

func (f *Folder) do(ask func(*Disk) error) error {
	d, err := f.current()
	if err != nil {
		return err
	}
	return f.told(ask(d))
}

func answer[T any](f *Folder, ask func(*Disk) (T, error)) (v T, err error) {
	err = f.do(func(d *Disk) (err error) {
		v, err = ask(d)
		return err
	})
	return v, err
}

func listed[T any](f *Folder, of func(*Disk) iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		d, err := f.current()
		if err != nil {
			var none T
			yield(none, err)
			return
		}
		for v, err := range of(d) {
			if !yield(v, f.told(err)) {
				return
			}
		}
	}
}

// PutShard implements Store.
func (f *Folder) PutShard(ctx context.Context, s *Shard) error {
	return f.do(func(d *Disk) error { return d.PutShard(ctx, s) })
}

// OpenShard implements Store. If the disk goes, reads from an open shard return
// an error of the operating system, or ErrClosed.
func (f *Folder) OpenShard(ctx context.Context, key ShardKey) (ShardReader, error) {
	return answer(f, func(d *Disk) (ShardReader, error) { return d.OpenShard(ctx, key) })
}

// Verify implements Store.
func (f *Folder) Verify(ctx context.Context, key ShardKey) error {
	return f.do(func(d *Disk) error { return d.Verify(ctx, key) })
}

// DeleteShard implements Store.
func (f *Folder) DeleteShard(ctx context.Context, key ShardKey) error {
	return f.do(func(d *Disk) error { return d.DeleteShard(ctx, key) })
}

// PutFact implements Store.
func (f *Folder) PutFact(ctx context.Context, facts ...Fact) error {
	return f.do(func(d *Disk) error { return d.PutFact(ctx, facts...) })
}

// DeleteFact implements Store.
func (f *Folder) DeleteFact(ctx context.Context, g protocol.GroupID, id protocol.Hash) error {
	return f.do(func(d *Disk) error { return d.DeleteFact(ctx, g, id) })
}

// Facts implements Store.
func (f *Folder) Facts(ctx context.Context, g protocol.GroupID) iter.Seq2[Fact, error] {
	return listed(f, func(d *Disk) iter.Seq2[Fact, error] { return d.Facts(ctx, g) })
}

// Fact implements Store.
func (f *Folder) Fact(ctx context.Context, g protocol.GroupID, id protocol.Hash) (Fact, error) {
	return answer(f, func(d *Disk) (Fact, error) { return d.Fact(ctx, g, id) })
}

// FactInfos implements Store.
func (f *Folder) FactInfos(ctx context.Context, g protocol.GroupID) iter.Seq2[FactInfo, error] {
	return listed(f, func(d *Disk) iter.Seq2[FactInfo, error] { return d.FactInfos(ctx, g) })
}

// Groups implements Store.
func (f *Folder) Groups(ctx context.Context) iter.Seq2[protocol.GroupID, error] {
	return listed(f, func(d *Disk) iter.Seq2[protocol.GroupID, error] { return d.Groups(ctx) })
}

// GroupByPrefix implements Store.
func (f *Folder) GroupByPrefix(ctx context.Context, p protocol.GroupPrefix) (protocol.GroupID, error) {
	return answer(f, func(d *Disk) (protocol.GroupID, error) { return d.GroupByPrefix(ctx, p) })
}

// Shards implements Store.
func (f *Folder) Shards(ctx context.Context, g protocol.GroupID) iter.Seq2[ShardInfo, error] {
	return listed(f, func(d *Disk) iter.Seq2[ShardInfo, error] { return d.Shards(ctx, g) })
}

// Find implements Store.
func (f *Folder) Find(ctx context.Context, s protocol.SegmentID) (ShardKey, error) {
	return answer(f, func(d *Disk) (ShardKey, error) { return d.Find(ctx, s) })
}

// Usage implements Store. While the disk is missing it tells what was there last,
// and no free bytes.
func (f *Folder) Usage() Usage {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return Usage{Donated: f.cfg.Quota, Err: ErrClosed}
	case f.disk == nil:
		return f.was
	}
	return f.disk.Usage()
}

// Close implements Store.
func (f *Folder) Close() error {
	f.mu.Lock()
	was := f.closed
	f.closed = true
	f.mu.Unlock()
	if was {
		return nil
	}
	f.stop()
	f.loops.Wait()
	if f.disk == nil {
		return nil
	}
	return f.disk.Close()
}
