package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

const (
	seed  = 1
	quota = 256 << 20 // more than any test but that of the quota writes
)

// Test runs the suite. open returns an empty store of that quota in bytes,
// which the test closes.
func Test(t *testing.T, open func(t testing.TB, quota int64) storage.Store) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, storage.Store)
	}{
		{"Sizes", testSizes},
		{"Absent", testAbsent},
		{"Idempotent", testIdempotent},
		{"CallerReusesMemory", testReuse},
		{"Delete", testDelete},
		{"Facts", testFacts},
		{"Limits", testLimits},
		{"Lists", testLists},
		{"Cancelled", testCancelled},
		{"Concurrent", testConcurrent},
		{"OpenReaderOutlivesDelete", testReaderOutlives},
		{"Closed", testClosed},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := open(t, quota)
			c.run(t, s)
			if err := s.Close(); err != nil && !errors.Is(err, storage.ErrClosed) {
				t.Errorf("close: %v", err)
			}
		})
	}
	t.Run("Quota", func(t *testing.T) { testQuota(t, open) })
}

func put(t *testing.T, s storage.Store, shards ...*storage.Shard) {
	t.Helper()
	for _, sh := range shards {
		if err := s.PutShard(t.Context(), sh); err != nil {
			t.Fatal(err)
		}
	}
}

// same checks that a store gives a shard back as it was put.
func same(t *testing.T, s storage.Store, want *storage.Shard) {
	t.Helper()
	if err := Holds(t.Context(), s, want); err != nil {
		t.Error(err)
	}
}

// Holds returns an error unless a store gives a shard back as it was put.
func Holds(ctx context.Context, s storage.Store, want *storage.Shard) error {
	r, err := s.OpenShard(ctx, want.Key)
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	data := make([]byte, len(want.Data))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, int64(len(data))), data); err != nil {
		return fmt.Errorf("read %s: %w", want.Key, err)
	}
	if err := r.ReadAll(data[1:]); !errors.Is(err, storage.ErrLimit) {
		return fmt.Errorf("read %s into too little room: %w", want.Key, err)
	}
	all := make([]byte, len(want.Data))
	if err := r.ReadAll(all); err != nil {
		return err
	}
	outboard, err := r.Outboard()
	info := r.Info()
	switch {
	case err != nil:
		return fmt.Errorf("outboard of %s: %w", want.Key, err)
	case !bytes.Equal(data, want.Data) || !bytes.Equal(all, want.Data):
		return fmt.Errorf("%s: other data", want.Key)
	case !bytes.Equal(outboard, want.Outboard):
		return fmt.Errorf("%s: other outboard", want.Key)
	case !bytes.Equal(r.Descriptor(), want.Descriptor):
		return fmt.Errorf("%s: other descriptor", want.Key)
	case info.Key != want.Key || info.Group != want.Group || info.Size != int64(len(want.Data)) || info.Stored.IsZero():
		return fmt.Errorf("%s: wrong info %+v", want.Key, info)
	}
	return s.Verify(ctx, want.Key)
}

func testSizes(t *testing.T, s storage.Store) {
	for i, size := range Sizes {
		sh := Shard(seed, 1, i, i, size)
		if i%2 == 1 {
			sh.Sum = sumOf(sh.Data)
		}
		put(t, s, sh)
		same(t, s, sh)
	}
	sh := Shard(seed, 1, 1, 1, 7)
	r, err := s.OpenShard(t.Context(), sh.Key)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 10)
	if n, err := r.ReadAt(b, 3); n != 4 || !errors.Is(err, io.EOF) || !bytes.Equal(b[:4], sh.Data[3:]) {
		t.Errorf("read over the end: %d bytes, %v; want 4, EOF", n, err)
	}
	if n, err := r.ReadAt(b, 7); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("read at the end: %d bytes, %v; want 0, EOF", n, err)
	}
	if _, err := r.ReadAt(b, -1); err == nil {
		t.Error("read before the start: no error")
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}

func testAbsent(t *testing.T, s storage.Store) {
	ctx := t.Context()
	key := storage.ShardKey{Segment: Segment(1), Slot: 1}
	_, opened := s.OpenShard(ctx, key)
	_, found := s.Find(ctx, key.Segment)
	_, byPrefix := s.GroupByPrefix(ctx, Group(1).Prefix())
	for op, err := range map[string]error{
		"open": opened, "find": found, "group by prefix": byPrefix, "verify": s.Verify(ctx, key),
	} {
		if !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", op, err)
		}
	}
	if err := s.DeleteShard(ctx, key); err != nil {
		t.Errorf("delete shard: %v", err)
	}
	if err := s.DeleteFact(ctx, Group(1), protocol.Hash{}); err != nil {
		t.Errorf("delete fact: %v", err)
	}
	if err := s.PutFact(ctx); err != nil {
		t.Errorf("put no fact: %v", err)
	}
	empty(t, s)
}

// empty checks that nothing is left in the store.
func empty(t *testing.T, s storage.Store) {
	t.Helper()
	for g, err := range s.Groups(t.Context()) {
		t.Errorf("group %s, %v is there", g, err)
	}
	for f, err := range s.Facts(t.Context(), Group(1)) {
		t.Errorf("fact %s, %v is there", f.ID(), err)
	}
	for i, err := range s.Shards(t.Context(), Group(1)) {
		t.Errorf("shard %s, %v is there", i.Key, err)
	}
	if u := s.Usage(); u.Shards != 0 || u.Groups != 0 || u.Err != nil {
		t.Errorf("usage %+v, want none", u)
	}
}

func testIdempotent(t *testing.T, s storage.Store) {
	sh, f := Shard(seed, 1, 1, 1, 100), Fact(1, 1, 50)
	put(t, s, sh)
	if err := s.PutFact(t.Context(), f, f); err != nil {
		t.Fatal(err)
	}
	before := s.Usage()
	put(t, s, sh)
	if err := s.PutFact(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	if after := s.Usage(); after.Used != before.Used || after.Shards != 1 || after.Groups != 1 {
		t.Errorf("putting twice: %+v became %+v", before, after)
	}
	other := *sh
	other.Group = Group(2)
	if err := s.PutShard(t.Context(), &other); !errors.Is(err, storage.ErrConflict) {
		t.Errorf("put for another group: %v, want ErrConflict", err)
	}
	same(t, s, sh)
}

func testReuse(t *testing.T, s storage.Store) {
	want := Shard(seed, 1, 1, 1, 5000)
	sh := Shard(seed, 1, 1, 1, 5000)
	put(t, s, sh)
	f := Fact(1, 1, 100)
	if err := s.PutFact(t.Context(), f); err != nil {
		t.Fatal(err)
	}
	clear(sh.Data)
	clear(sh.Descriptor)
	clear(sh.Outboard)
	clear(f.Bytes)
	same(t, s, want)
	for got, err := range s.Facts(t.Context(), Group(1)) {
		if err != nil || !bytes.Equal(got.Bytes, Fact(1, 1, 100).Bytes) {
			t.Errorf("fact changed with the caller's memory, %v", err)
		}
		clear(got.Bytes)
	}
	for got, err := range s.Facts(t.Context(), Group(1)) {
		if err != nil || !bytes.Equal(got.Bytes, Fact(1, 1, 100).Bytes) {
			t.Errorf("fact changed with a reader's memory, %v", err)
		}
	}
}

func testDelete(t *testing.T, s storage.Store) {
	ctx := t.Context()
	a, b := Shard(seed, 1, 1, 1, 3000), Shard(seed, 1, 2, 1, 3000)
	put(t, s, a, b)
	for range 2 { // and putting it again afterwards
		if err := s.DeleteShard(ctx, a.Key); err != nil {
			t.Fatal(err)
		}
		if _, err := s.OpenShard(ctx, a.Key); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("open a deleted shard: %v, want ErrNotFound", err)
		}
		same(t, s, b)
		put(t, s, a)
		same(t, s, a)
	}
	for _, sh := range []*storage.Shard{a, b} {
		if err := s.DeleteShard(ctx, sh.Key); err != nil {
			t.Fatal(err)
		}
	}
	empty(t, s)
}
