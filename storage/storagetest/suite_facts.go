package storagetest

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

func testFacts(t *testing.T, s storage.Store) {
	ctx := t.Context()
	var facts []storage.Fact
	for i, size := range []int{0, 1, 100, storage.MaxFact, 99} {
		facts = append(facts, Fact(1, i, size))
	}
	if err := s.PutFact(ctx, append(facts, Fact(2, 1, 10))...); err != nil {
		t.Fatal(err)
	}
	sameFacts(t, s, 1, facts)
	if err := s.DeleteFact(ctx, Group(1), facts[2].ID()); err != nil {
		t.Fatal(err)
	}
	facts = slices.Delete(facts, 2, 3)
	sameFacts(t, s, 1, facts)
	sameFacts(t, s, 2, []storage.Fact{Fact(2, 1, 10)})
	for _, f := range append(facts, Fact(2, 1, 10)) {
		if err := s.DeleteFact(ctx, f.Group, f.ID()); err != nil {
			t.Fatal(err)
		}
	}
	empty(t, s)
}

func sameFacts(t *testing.T, s storage.Store, group int, want []storage.Fact) {
	t.Helper()
	want = slices.Clone(want)
	slices.SortFunc(want, func(a, b storage.Fact) int {
		x, y := a.ID(), b.ID()
		return bytes.Compare(x[:], y[:])
	})
	i := 0
	for f, err := range s.Facts(t.Context(), Group(group)) {
		if err != nil {
			t.Fatal(err)
		}
		if i >= len(want) || f.Group != Group(group) || f.Kind != want[i].Kind || !bytes.Equal(f.Bytes, want[i].Bytes) {
			t.Fatalf("group %d: fact %d of %d is another", group, i, len(want))
		}
		i++
	}
	if i != len(want) {
		t.Errorf("group %d: %d facts, want %d", group, i, len(want))
	}
	sameInfos(t, s, group, want)
}

// sameInfos checks what FactInfos tells of a group's facts, and reads each fact
// by itself.
func sameInfos(t *testing.T, s storage.Store, group int, want []storage.Fact) {
	t.Helper()
	var infos []storage.FactInfo
	for info, err := range s.FactInfos(t.Context(), Group(group)) {
		if err != nil {
			t.Fatal(err)
		}
		infos = append(infos, info)
	}
	if len(infos) != len(want) {
		t.Fatalf("group %d: %d facts are told of, want %d", group, len(infos), len(want))
	}
	for i, f := range want {
		if w := (storage.FactInfo{Group: f.Group, ID: f.ID(), Kind: f.Kind, Size: int64(len(f.Bytes))}); infos[i] != w {
			t.Errorf("group %d: told of %+v, want %+v", group, infos[i], w)
		}
		got, err := s.Fact(t.Context(), f.Group, f.ID())
		if err != nil || got.Kind != f.Kind || got.Group != f.Group || !bytes.Equal(got.Bytes, f.Bytes) {
			t.Errorf("group %d: fact %d alone: %+v, %v", group, i, got, err)
		}
	}
	if _, err := s.Fact(t.Context(), Group(group), protocol.Hash{1}); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a fact that is not held: %v, want ErrNotFound", err)
	}
}

// sumOf returns the checksum of data that comes in two pieces.
func sumOf(data []byte) *storage.Sum {
	s := new(storage.Sum)
	for _, b := range [][]byte{data[:len(data)/2], data[len(data)/2:]} {
		_, _ = s.Write(b)
	}
	return s
}
