package neighbours

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
)

var (
	epoch   = time.Unix(1_900_000_000, 0)
	profile = protocol.Profile{K: 2, R: 4, N: 6}
)

// seeded returns a source of numbers that a number reproduces.
func seeded(t testing.TB, seed uint64) *rand.Rand {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	})
	return rand.New(rand.NewPCG(seed, 0))
}

// idFor is a peer ID numbered i.
func idFor(i int) peer.ID {
	h := protocol.Sum(fmt.Append(nil, i))
	return peer.ID(append([]byte{0, 36, 8, 1, 18, 32}, h[:]...))
}

// see places a peer at an IPv4 address.
func (h *Register) see(id peer.ID, addr string) {
	h.Place(id, multiaddr.StringCast("/ip4/"+addr+"/tcp/1"))
}

// newView returns a view of n groups of a profile, whose holders are drawn from
// so many peers, this one with slot 0.
func newView(n int, p protocol.Profile, peers int) *Register {
	now := epoch
	set, audits := liveness.DefaultSettings(), audit.DefaultSettings()
	h := New(idFor(0), &set, &audits, func() time.Time { return now }, func() time.Duration { return now.Sub(epoch) })
	for i := range n {
		t := &protocol.Table{Profile: p, Slots: make([][]byte, p.N)}
		t.Slots[0] = []byte(h.self)
		for slot := 1; slot < p.N; slot++ {
			t.Slots[slot] = []byte(idFor(1 + (i*p.N+slot*7)%peers))
		}
		h.Open(protocol.GroupID(protocol.Sum(fmt.Append(nil, "group ", i))), t, 0, new(Survey))
	}
	h.Resume(func() float64 { return 0.5 })
	return h
}
