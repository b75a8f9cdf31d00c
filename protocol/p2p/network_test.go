package p2p

import (
	"testing"

	"github.com/cairnstore/cairn/protocol/networktest"
)

// TestNetwork holds libp2p over loopback to what every network promises. Its
// cases run in parallel: mostly they wait.
func TestNetwork(t *testing.T) {
	for _, c := range networktest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			c.Run(t, trio)
		})
	}
}

// trio starts three members that have joined.
func trio(t *testing.T) (a, b, c networktest.Member) {
	first := startNode(t, Config{})
	second, third := startNode(t, Config{}, first), startNode(t, Config{}, first)
	for _, h := range []*Host{second, third} {
		if err := h.Wait(deadline(t)); err != nil {
			t.Fatal(err)
		}
	}
	return memberOf(t, first), memberOf(t, second), memberOf(t, third)
}

func memberOf(t *testing.T, h *Host) networktest.Member {
	return networktest.Member{Network: h, Serve: h.Serve, Stop: func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}}
}
