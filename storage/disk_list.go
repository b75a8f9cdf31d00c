package storage

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Shards implements Store.
func (d *Disk) Shards(ctx context.Context, g protocol.GroupID) iter.Seq2[ShardInfo, error] {
	return func(yield func(ShardInfo, error) bool) {
		rows, err := d.rows(ctx, bucketMembers, g)
		for _, r := range rows {
			var info ShardInfo
			if err = ctx.Err(); err == nil {
				info, err = memberInfo(g, r)
			}
			if err != nil {
				break
			}
			if !yield(info, nil) {
				return
			}
		}
		if err != nil {
			yield(ShardInfo{}, fmt.Errorf("list shards of %s: %w", g, err))
		}
	}
}

// memberInfo reads a row of the index.
func memberInfo(g protocol.GroupID, r row) (ShardInfo, error) {
	const key, value = 32 + 32 + 1, 4 + 8
	if len(r.key) != key || len(r.value) != value {
		return ShardInfo{}, errIndex
	}
	le := binary.LittleEndian
	return ShardInfo{
		Key:   ShardKey{Segment: [32]byte(r.key[32:]), Slot: r.key[64]},
		Group: g, Size: int64(le.Uint32(r.value)), Stored: time.Unix(0, int64(le.Uint64(r.value[4:]))),
	}, nil
}

// Facts implements Store.
func (d *Disk) Facts(ctx context.Context, g protocol.GroupID) iter.Seq2[Fact, error] {
	return func(yield func(Fact, error) bool) {
		rows, err := d.rows(ctx, bucketFacts, g)
		for _, r := range rows {
			var f Fact
			f, err = d.fact(ctx, g, r)
			switch {
			case errors.Is(err, ErrNotFound): // deleted meanwhile
				err = nil
				continue
			case errors.Is(err, ErrCorrupt):
				err = fmt.Errorf("read fact of %s: %w", g, err)
			case err != nil:
				yield(Fact{}, fmt.Errorf("list facts of %s: %w", g, err))
				return
			}
			if !yield(f, err) {
				return
			}
			err = nil
		}
		if err != nil {
			yield(Fact{}, fmt.Errorf("list facts of %s: %w", g, err))
		}
	}
}

// FactInfos implements Store.
func (d *Disk) FactInfos(ctx context.Context, g protocol.GroupID) iter.Seq2[FactInfo, error] {
	return func(yield func(FactInfo, error) bool) {
		rows, err := d.rows(ctx, bucketFacts, g)
		for _, r := range rows {
			var info FactInfo
			if err = ctx.Err(); err == nil {
				info, err = factInfo(g, r)
			}
			if err != nil {
				break
			}
			if !yield(info, nil) {
				return
			}
		}
		if err != nil {
			yield(FactInfo{}, fmt.Errorf("list facts of %s: %w", g, err))
		}
	}
}

// factInfo reads a row of the index.
func factInfo(g protocol.GroupID, r row) (FactInfo, error) {
	e, err := decodeEntry(r.value)
	if err != nil || len(r.key) != 64 {
		return FactInfo{}, errIndex
	}
	return FactInfo{Group: g, ID: [32]byte(r.key[32:]), Kind: e.factKind, Size: int64(e.data)}, nil
}

// Fact implements Store.
func (d *Disk) Fact(ctx context.Context, g protocol.GroupID, id protocol.Hash) (Fact, error) {
	f, err := d.readFact(ctx, FactInfo{Group: g, ID: id})
	if err != nil {
		return f, fmt.Errorf("read fact %s of %s: %w", id, g, err)
	}
	return f, nil
}

// fact reads the fact that a row of the index names.
func (d *Disk) fact(ctx context.Context, g protocol.GroupID, r row) (Fact, error) {
	info, err := factInfo(g, r)
	if err != nil {
		return Fact{}, err
	}
	return d.readFact(ctx, info)
}

func (d *Disk) readFact(ctx context.Context, info FactInfo) (Fact, error) {
	f := Fact{Group: info.Group, Kind: info.Kind}
	rec, err := d.openRecord(ctx, &header{kind: factRecord, group: info.Group, id: info.ID})
	if err != nil {
		return f, err
	}
	defer rec.done()
	f.Kind, f.Bytes = rec.header.factKind, rec.body
	return f, nil
}
