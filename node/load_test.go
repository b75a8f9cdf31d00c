package node

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// folder is one store of several, whose disk can go away, index and all.
type folder struct {
	storage.Store
	away atomic.Bool
}

func (f *folder) gone() error {
	if f.away.Load() {
		return fmt.Errorf("test: %w", storage.ErrSuspended)
	}
	return nil
}

func (f *folder) Usage() storage.Usage {
	u := f.Store.Usage()
	if u.Err = f.gone(); u.Err != nil {
		u.Free = 0
	}
	return u
}

func (f *folder) OpenShard(ctx context.Context, k storage.ShardKey) (storage.ShardReader, error) {
	if err := f.gone(); err != nil {
		return nil, err
	}
	return f.Store.OpenShard(ctx, k)
}

func (f *folder) Verify(ctx context.Context, k storage.ShardKey) error {
	if err := f.gone(); err != nil {
		return err
	}
	return f.Store.Verify(ctx, k)
}

func (f *folder) Find(ctx context.Context, s protocol.SegmentID) (storage.ShardKey, error) {
	if err := f.gone(); err != nil {
		return storage.ShardKey{}, err
	}
	return f.Store.Find(ctx, s)
}

func (f *folder) GroupByPrefix(ctx context.Context, p protocol.GroupPrefix) (protocol.GroupID, error) {
	if err := f.gone(); err != nil {
		return protocol.GroupID{}, err
	}
	return f.Store.GroupByPrefix(ctx, p)
}

func unlessGone[T any](f *folder, list iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := f.gone(); err != nil {
			var none T
			yield(none, err)
			return
		}
		list(yield)
	}
}

func (f *folder) Facts(ctx context.Context, g protocol.GroupID) iter.Seq2[storage.Fact, error] {
	return unlessGone(f, f.Store.Facts(ctx, g))
}

func (f *folder) FactInfos(ctx context.Context, g protocol.GroupID) iter.Seq2[storage.FactInfo, error] {
	return unlessGone(f, f.Store.FactInfos(ctx, g))
}

func (f *folder) Fact(ctx context.Context, g protocol.GroupID, id protocol.Hash) (storage.Fact, error) {
	if err := f.gone(); err != nil {
		return storage.Fact{}, err
	}
	return f.Store.Fact(ctx, g, id)
}

func (f *folder) Shards(ctx context.Context, g protocol.GroupID) iter.Seq2[storage.ShardInfo, error] {
	return unlessGone(f, f.Store.Shards(ctx, g))
}

func (f *folder) Groups(ctx context.Context) iter.Seq2[protocol.GroupID, error] {
	return unlessGone(f, f.Store.Groups(ctx))
}

// One folder of two goes away, and the groups of the other one are served,
// told of and put into as before: while the node runs, and by one that starts
// then. What lies in the missing one is suspended, not absent, and is back with
// its disk.
func TestOneFolderMissing(t *testing.T) {
	var folders [2]*folder
	w := newWorld(t, 71, func(cfg *Config) {
		for i := range folders {
			folders[i] = &folder{Store: storage.NewMemory(storage.Config{Quota: 1 << 28})}
		}
		cfg.Store = storage.NewDisks(folders[0], folders[1])
	})
	var owners [2]*owner
	var segments [2]*segment
	for i := range owners { // the emptier folder takes the next group
		owners[i] = w.newOwner().found()
		segments[i] = owners[i].newSegment(100_000)
		owners[i].mustPut(segments[i])
		if u := folders[i].Store.Usage(); u.Groups != 1 || u.Shards != 1 {
			t.Fatalf("group %d does not lie in folder %d: the test tests nothing: %+v", i, i, u)
		}
	}
	for i := range folders {
		there, gone := 1-i, i
		folders[gone].away.Store(true)
		for _, when := range []string{"running", "started without it"} {
			t.Run(fmt.Sprintf("folder %d, %s", gone, when), func(t *testing.T) {
				o, s := owners[there], segments[there]
				if b, err := o.get(s, 0, 0); err != nil || !bytes.Equal(b, s.shards[ownSlot]) {
					t.Errorf("get from the other folder: %v", err)
				}
				more := o.newSegment(1000)
				wantCode(t, "put into the other folder", o.put(at(o.client.id, ""), more), 0)
				have, err := w.node.Have(t.Context(), at(o.client.id, ""), &protocol.HaveRequest{Group: o.id, Named: []protocol.SegmentID{s.id, more.id}})
				if err != nil || len(have.Held) != 2 || !have.Held[0] || !have.Held[1] {
					t.Errorf("have of the other folder: %+v, %v", have, err)
				}
				_, err = w.node.Form(t.Context(), at(o.client.id, ""), &protocol.FormRequest{Record: w.newOwner().record, Profile: profile, Bytes: 1000})
				wantCode(t, "promise for a group that may lie in the missing folder", err, protocol.CodeSuspended)
				_, err = owners[gone].get(segments[gone], 0, 0)
				wantCode(t, "get from the missing folder", err, protocol.CodeSuspended)
				if when != "running" { // a node that still knows the group may take its shards into another folder
					wantCode(t, "put of what lies there", owners[gone].put(at(o.client.id, ""), owners[gone].newSegment(1000)), protocol.CodeSuspended)
				}
			})
			w.restart()
		}
		folders[gone].away.Store(false)
		w.restart()
		if b, err := owners[gone].get(segments[gone], 0, 0); err != nil || !bytes.Equal(b, segments[gone].shards[ownSlot]) {
			t.Errorf("get after the disk came back: %v", err)
		}
		owners[gone].mustPut(owners[gone].newSegment(1000))
	}
}
