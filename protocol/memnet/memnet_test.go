package memnet

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"go.uber.org/goleak"

	"github.com/cairnstore/cairn/protocol/networktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// trio starts three members on a network.
func trio(cfg Config) networktest.Start {
	return func(t *testing.T) (a, b, c networktest.Member) {
		n := New(cfg)
		t.Cleanup(func() { _ = n.Close() })
		first := n.Peer(PeerConfig{Server: true})
		known := []peer.AddrInfo{first.AddrInfo()}
		return member(first), member(n.Peer(PeerConfig{Server: true, Bootstrap: known})), member(n.Peer(PeerConfig{Server: true, Bootstrap: known}))
	}
}

func member(p *Peer) networktest.Member {
	return networktest.Member{Network: p, Serve: p.Serve, Stop: p.Stop}
}

// TestNetwork runs the promises on the wall clock and on a perfect network.
func TestNetwork(t *testing.T) { networktest.Test(t, trio(Config{})) }

// TestNetworkInVirtualTime runs them on a slow and uneven one.
func TestNetworkInVirtualTime(t *testing.T) {
	cfg := Config{Seed: 1, Latency: 40 * time.Millisecond, Jitter: 30 * time.Millisecond, Rate: 8 << 20}
	for _, c := range networktest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { c.Run(t, trio(cfg)) })
		})
	}
}
