package neighbours

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// TestCrowdFollowsAddresses: how crowded the owner's draw was is remembered, and
// found out anew once a holder is seen elsewhere.
func TestCrowdFollowsAddresses(t *testing.T) {
	h := newView(0, profile, 1)
	table := &protocol.Table{Profile: protocol.Profile{K: 1, R: 2, N: 4}, Slots: make([][]byte, 4)}
	ids := []peer.ID{idFor(1), idFor(2), idFor(3)}
	table.Slots[0] = []byte(h.self)
	for i, id := range ids {
		table.Slots[i+1] = []byte(id)
	}
	g := protocol.GroupID{3}
	h.Open(g, table, 0, &Survey{})
	see := func(i int, addr string) { h.Place(ids[i], multiaddr.StringCast(addr)) }
	same := func(want uint8) {
		t.Helper()
		for range 2 {
			if got := h.Roll(g).Table.Same; got != want {
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
	h, id := newView(0, profile, 1), idFor(1)
	if h.Newer(id, 1) {
		t.Error("a stranger's")
	}
	table := &protocol.Table{Profile: protocol.Profile{K: 1, R: 2, N: 3}, Slots: [][]byte{[]byte(h.self), []byte(id), nil}}
	h.Open(protocol.GroupID{4}, table, 0, &Survey{})
	for i, want := range []bool{true, false, true} {
		if seq := uint64(1 + i/2); h.Newer(id, seq) != want {
			t.Errorf("try %d, envelope %d: %v", i, seq, !want)
		}
	}
}
