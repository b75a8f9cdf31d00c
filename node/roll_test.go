package node

import (
	"testing"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// TestCrowdFollowsAddresses: how crowded the owner's draw was is remembered, and
// found out anew once a holder is seen elsewhere.
func TestCrowdFollowsAddresses(t *testing.T) {
	w := newWorld(t, 88, nil)
	h := w.node.neighbours
	table := &protocol.Table{Profile: protocol.Profile{K: 1, R: 2, N: 4}, Slots: make([][]byte, 4)}
	ids := []identity{newIdentity(t, w.r), newIdentity(t, w.r), newIdentity(t, w.r)}
	table.Slots[0] = []byte(h.self)
	for i, m := range ids {
		table.Slots[i+1] = []byte(m.id)
	}
	g := protocol.GroupID{3}
	h.open(g, table, 0, &viewSurvey{})
	see := func(i int, addr string) { h.place(ids[i].id, multiaddr.StringCast(addr)) }
	same := func(want uint8) {
		t.Helper()
		for range 2 {
			if got := h.roll(g).table.Same; got != want {
				t.Errorf("%d in one domain, not %d", got, want)
			}
		}
	}
	same(0)
	see(0, "/ip4/192.0.2.1/tcp/1")
	same(1)
	see(1, "/ip4/192.0.2.2/tcp/1")
	same(2)
	see(2, "/ip4/203.0.113.1/tcp/1")
	same(2)
	see(1, "/ip4/198.51.100.1/tcp/1")
	same(1)
}

// A neighbour that does not answer is dialled once at each beat, not once more at
// addresses that were tried before.
func TestAddressesAreTriedOnce(t *testing.T) {
	w := newWorld(t, 92, nil)
	h, m := w.node.neighbours, newIdentity(t, w.r)
	if h.newer(m.id, 1) {
		t.Error("a stranger's")
	}
	table := &protocol.Table{Profile: protocol.Profile{K: 1, R: 2, N: 3}, Slots: [][]byte{[]byte(h.self), []byte(m.id), nil}}
	h.open(protocol.GroupID{4}, table, 0, &viewSurvey{})
	for i, want := range []bool{true, false, true} {
		if seq := uint64(1 + i/2); h.newer(m.id, seq) != want {
			t.Errorf("try %d, envelope %d: %v", i, seq, !want)
		}
	}
}
