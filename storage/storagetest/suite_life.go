package storagetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/cairnstore/cairn/storage"
)

func testLimits(t *testing.T, s storage.Store) {
	for name, change := range map[string]func(*storage.Shard){
		"no descriptor":   func(sh *storage.Shard) { sh.Descriptor = nil },
		"long descriptor": func(sh *storage.Shard) { sh.Descriptor = make([]byte, storage.MaxDescriptor+1) },
		"no data":         func(sh *storage.Shard) { sh.Data = nil },
		"long data":       func(sh *storage.Shard) { sh.Data = make([]byte, storage.MaxData+1) },
		"long outboard":   func(sh *storage.Shard) { sh.Outboard = make([]byte, storage.MaxOutboard+1) },
		"sum of less":     func(sh *storage.Shard) { sh.Sum = sumOf(sh.Data[1:]) },
	} {
		sh := Shard(seed, 1, 1, 1, 100)
		change(sh)
		if err := s.PutShard(t.Context(), sh); !errors.Is(err, storage.ErrLimit) {
			t.Errorf("%s: %v, want ErrLimit", name, err)
		}
	}
	if err := s.PutFact(t.Context(), Fact(1, 1, 5), Fact(1, 2, storage.MaxFact+1)); !errors.Is(err, storage.ErrLimit) {
		t.Errorf("long fact: %v, want ErrLimit", err)
	}
	empty(t, s)
}

func testCancelled(t *testing.T, s storage.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.PutShard(ctx, Shard(seed, 1, 1, 1, 100)); !errors.Is(err, context.Canceled) {
		t.Errorf("put: %v, want Canceled", err)
	}
	for _, err := range s.Groups(ctx) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("groups: %v, want Canceled", err)
		}
	}
	empty(t, s)
}

func testConcurrent(t *testing.T, s storage.Store) {
	const workers, each = 16, 20
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range each {
				// Two workers write the same shards, and facts to one group.
				sh := Shard(seed, w/2%4, w/2*each+i, 3, 500+i)
				err := errors.Join(s.PutShard(t.Context(), sh), s.PutFact(t.Context(), Fact(9, w/2*each+i, 30)))
				if err == nil {
					err = Holds(t.Context(), s, sh)
				}
				if err == nil && i%4 == 0 && w%2 == 0 {
					err = s.DeleteFact(t.Context(), Group(9), Fact(9, w/2*each+i, 30).ID())
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if u := s.Usage(); u.Shards != workers/2*each || u.Groups != 5 {
		t.Errorf("%d shards in %d groups, want %d in 5", u.Shards, u.Groups, workers/2*each)
	}
}

func testReaderOutlives(t *testing.T, s storage.Store) {
	sh := Shard(seed, 1, 1, 1, 3000)
	put(t, s, sh)
	r, err := s.OpenShard(t.Context(), sh.Key)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteShard(t.Context(), sh.Key); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(sh.Data))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, int64(len(got))), got); err != nil || !bytes.Equal(got, sh.Data) {
		t.Errorf("a reader lost its shard to a delete: %v", err)
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func testClosed(t *testing.T, s storage.Store) {
	sh := Shard(seed, 1, 1, 1, 30)
	put(t, s, sh)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	_, opened := s.OpenShard(ctx, sh.Key)
	_, found := s.Find(ctx, sh.Key.Segment)
	for op, err := range map[string]error{
		"put": s.PutShard(ctx, sh), "open": opened, "find": found, "delete": s.DeleteShard(ctx, sh.Key),
		"put fact": s.PutFact(ctx, Fact(1, 1, 1)), "usage": s.Usage().Err,
	} {
		if !errors.Is(err, storage.ErrClosed) {
			t.Errorf("%s after close: %v, want ErrClosed", op, err)
		}
	}
}
