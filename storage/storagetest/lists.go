package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

func testLists(t *testing.T, s storage.Store) {
	const groups, segments = 5, 12
	var ids []protocol.GroupID
	for g := range groups {
		ids = append(ids, Group(g))
		for i := range segments {
			put(t, s, Shard(seed, g, 100*g+i, 7-g, 40))
			if i == 3 { // two slots of one segment
				put(t, s, Shard(seed, g, 100*g+i, 9, 41))
			}
		}
	}
	slices.SortFunc(ids, func(a, b protocol.GroupID) int { return bytes.Compare(a[:], b[:]) })
	var got []protocol.GroupID
	for g, err := range s.Groups(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, g)
	}
	if !slices.Equal(got, ids) {
		t.Errorf("groups %v, want %v", got, ids)
	}
	for g := range groups {
		id, err := s.GroupByPrefix(t.Context(), Group(g).Prefix())
		if err != nil || id != Group(g) {
			t.Errorf("group by prefix: %v, %v", id, err)
		}
		listed(t, s, g, segments+1)
		for i := range segments {
			key, err := s.Find(t.Context(), Segment(100*g+i))
			if err != nil || key.Slot != uint8(7-g) || key.Segment != Segment(100*g+i) {
				t.Errorf("find: %v, %v", key, err)
			}
		}
	}
	for range s.Groups(t.Context()) {
		break // a loop that ends early holds nothing up
	}
	put(t, s, Shard(seed, 1, 999, 1, 40))
}

// listed checks the order and content of a group's shards.
func listed(t *testing.T, s storage.Store, group, want int) {
	t.Helper()
	var last []byte
	n := 0
	for info, err := range s.Shards(t.Context(), Group(group)) {
		if err != nil {
			t.Fatal(err)
		}
		key := append(info.Key.Segment[:], info.Key.Slot)
		if bytes.Compare(last, key) >= 0 || info.Group != Group(group) || info.Size < 40 || info.Size > 41 || info.Stored.IsZero() {
			t.Errorf("group %d: %+v after %x", group, info, last)
		}
		last = key
		n++
	}
	if n != want {
		t.Errorf("group %d: %d shards, want %d", group, n, want)
	}
}

// testQuota fills a store, finds it full, deletes and fills it again, many
// times over: space comes back, and the books agree with what is held.
func testQuota(t *testing.T, open func(testing.TB, int64) storage.Store) {
	const small, size = 4 << 20, 60 << 10
	s := open(t, small)
	var held []*storage.Shard
	for round := range 8 {
		for i := 0; ; i++ {
			sh := Shard(seed, 1, 1000*round+i, 2, size)
			err := s.PutShard(t.Context(), sh)
			if errors.Is(err, storage.ErrFull) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, sh)
			if i > small/size {
				t.Fatalf("round %d: %d shards of %d bytes in %d", round, len(held), size, small)
			}
		}
		u := s.Usage()
		if u.Used > small || u.Donated != small || u.Free > 2*size+small/4 || u.Shards != len(held) || u.Used < int64(len(held)*size) {
			t.Errorf("round %d: full with %+v", round, u)
		}
		if len(held) < small/size*3/4 {
			t.Errorf("round %d: full with %d shards of %d in %d bytes", round, len(held), size, small)
		}
		for _, sh := range held {
			same(t, s, sh)
		}
		held = thin(t, s, held, round)
	}
	for _, sh := range held {
		same(t, s, sh)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// thin deletes some of the shards and returns the rest.
func thin(t *testing.T, s storage.Store, held []*storage.Shard, round int) (rest []*storage.Shard) {
	t.Helper()
	for i, sh := range held {
		if (i+round)%3 != 0 {
			rest = append(rest, sh)
			continue
		}
		if err := s.DeleteShard(t.Context(), sh.Key); err != nil {
			t.Fatal(fmt.Errorf("delete on a full store: %w", err))
		}
	}
	return rest
}
