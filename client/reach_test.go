package client

import (
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// TestAcks checks which acknowledgements are believed, and which are only said, in a
// group of five of which slot 4 is vacant in the owner's table.
func TestAcks(t *testing.T) {
	holders := []peer.ID{"a", "b", "c", "d", ""}
	for _, tc := range []struct {
		name       string
		do         func(a *acks)
		told, said []int
	}{
		{"the table's holders", func(a *acks) { a.yes("a"); a.yes("c") }, []int{0, 2}, []int{0, 2}},
		{"a stranger", func(a *acks) { a.yes("x") }, nil, nil},
		{"a holder that names itself elsewhere", func(a *acks) {
			a.yes("a")
			a.names("a", []seat{{1, "a"}, {2, "a"}, {4, "a"}})
		}, []int{0}, []int{0}},
		{"a successor by one word", func(a *acks) { a.yes("a"); a.names("a", []seat{{1, "x"}}); a.yes("x") }, []int{0}, []int{0, 1}},
		{"by one word, twice", func(a *acks) { a.names("a", []seat{{1, "x"}, {1, "x"}}); a.yes("x") }, nil, []int{1}},
		{"by two words, of which one comes late", func(a *acks) {
			a.names("a", []seat{{1, "x"}})
			a.yes("x")
			a.names("b", []seat{{1, "x"}})
		}, []int{1}, []int{1}},
		{"one peer for three slots", func(a *acks) {
			a.names("a", []seat{{1, "x"}, {2, "x"}, {4, "x"}})
			a.yes("x")
		}, nil, []int{1}},
		{"where most see it", func(a *acks) {
			a.names("a", []seat{{1, "x"}})
			a.yes("x")
			a.names("b", []seat{{4, "x"}})
			a.names("c", []seat{{4, "x"}})
		}, []int{4}, []int{4}},
		{"by its own word", func(a *acks) { a.names("x", []seat{{3, "x"}}); a.yes("x") }, nil, []int{3}},
		{"by the word of strangers", func(a *acks) {
			for _, id := range []peer.ID{"x", "y", "z"} {
				a.names(id, []seat{{1, "x"}})
			}
			a.yes("x")
		}, nil, []int{1}},
		{"named and silent", func(a *acks) { a.names("a", []seat{{1, "x"}}); a.names("b", []seat{{1, "x"}}) }, nil, nil},
	} {
		a := newAcks(holders, make([]bool, len(holders)))
		tc.do(a)
		if got := slotsOf(a.told()); !slices.Equal(got, tc.told) {
			t.Errorf("%s: believed of %v, not %v", tc.name, got, tc.told)
		}
		if got := slotsOf(a.said()); !slices.Equal(got, tc.said) {
			t.Errorf("%s: said of %v, not %v", tc.name, got, tc.said)
		}
	}
	a := newAcks(holders, []bool{true, false, false, false, false})
	if a.wants("a") || !a.wants("b") || a.yes("a") != 0 || a.yes("b") != 1 || a.yes("b") != 0 {
		t.Error("what is known from before counts again, or what is new does not")
	}
	fresh := a.names("b", []seat{{0, "x"}, {2, "y"}, {3, "d"}, {4, "z"}})
	if !slices.Equal(fresh, []peer.ID{"y", "z"}) {
		t.Errorf("%q are to be told", fresh)
	}
}

func slotsOf(list []bool) (out []int) {
	for slot, ok := range list {
		if ok {
			out = append(out, slot)
		}
	}
	return out
}
