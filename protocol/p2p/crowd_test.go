package p2p

import (
	"errors"
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// newCrowd returns the resource manager of a host.
func newCrowd(t *testing.T) *crowdControl {
	t.Helper()
	m, err := newResources(false)
	if err != nil {
		t.Fatal(err)
	}
	c, ok := m.(*crowdControl)
	if !ok {
		t.Fatalf("%T", m)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		for _, of := range []*tally{c.shaking, c.mute, c.streams} {
			if of.all != 0 || len(of.peer) != 0 || len(of.origin) != 0 {
				t.Errorf("left behind: %d of %d peers and %d origins", of.all, len(of.peer), len(of.origin))
			}
		}
		if len(c.seen) != 0 {
			t.Errorf("%d peers are still seen", len(c.seen))
		}
	})
	return c
}

// connect opens a connection of a fresh peer.
func connect(t *testing.T, c *crowdControl, at string) (peer.ID, network.ConnManagementScope) {
	t.Helper()
	s, err := c.OpenConnection(network.DirInbound, true, mustAddr(t, at))
	if err != nil {
		t.Fatal(err)
	}
	p := newPeerID(t)
	if err := s.SetPeer(p); err != nil {
		t.Fatal(err)
	}
	return p, s
}

// openAll opens streams until that is refused.
func openAll(t *testing.T, c *crowdControl, p peer.ID) (all []network.StreamManagementScope) {
	t.Helper()
	for {
		s, err := c.OpenStream(p, network.DirInbound)
		if err == nil {
			if err = s.SetProtocol("/x"); err != nil {
				s.Done()
			}
		}
		if errors.Is(err, network.ErrResourceLimitExceeded) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

// One address with many identities has its share of streams; another address
// has its own.
func TestStreamsOfOneOrigin(t *testing.T) {
	c := newCrowd(t)
	var open []network.StreamManagementScope
	for i := range 10 {
		p, conn := connect(t, c, fmt.Sprintf("/ip4/66.6.6.%d/tcp/1", i+1))
		defer conn.Done()
		open = append(open, openAll(t, c, p)...)
	}
	if len(open) != maxOriginStreams {
		t.Errorf("%d streams of one /24", len(open))
	}
	honest, conn := connect(t, c, "/ip4/66.6.7.1/tcp/1")
	defer conn.Done()
	lan, other := connect(t, c, "/ip4/192.168.0.1/tcp/1")
	defer other.Done()
	for _, p := range []peer.ID{honest, lan} {
		all := openAll(t, c, p)
		if len(all) < maxPeerRequests/2 {
			t.Errorf("%d streams of another", len(all))
		}
		open = append(open, all...)
	}
	for _, s := range open {
		s.Done()
		s.Done()
	}
}

// Streams and connections on which nobody speaks are fewer still.
func TestMuteOfOneOrigin(t *testing.T) {
	c := newCrowd(t)
	var open []interface{ Done() }
	streams := 0
	for i := range 10 {
		p, conn := connect(t, c, fmt.Sprintf("/ip4/66.6.6.%d/tcp/1", i+1))
		open = append(open, conn)
		for j := range 2 * maxPeerMute {
			s, err := c.OpenStream(p, network.DirInbound)
			if err == nil {
				streams++
				open = append(open, s)
			} else if j < maxPeerMute && streams < maxOriginMute {
				t.Fatal(err)
			}
		}
	}
	shaking := 0
	for i := range 2 * maxOriginHandshakes {
		s, err := c.OpenConnection(network.DirInbound, true, mustAddr(t, fmt.Sprintf("/ip4/66.6.6.%d/tcp/2", i+1)))
		if err == nil {
			shaking++
			open = append(open, s)
		}
	}
	if streams != maxOriginMute || shaking != maxOriginHandshakes {
		t.Errorf("%d mute streams and %d handshakes of one /24", streams, shaking)
	}
	p, conn := connect(t, c, "/ip4/9.9.9.9/tcp/1")
	open = append(open, conn)
	s, err := c.OpenStream(p, network.DirInbound)
	if err != nil {
		t.Fatal("another's stream: ", err)
	}
	for _, v := range append(open, s) {
		v.Done()
	}
}

// A peer is counted where it is seen now, and what it opened stays counted
// where it was.
func TestOriginOfAPeerThatMoves(t *testing.T) {
	c := newCrowd(t)
	p, first := connect(t, c, "/ip4/66.6.6.1/tcp/1")
	s, err := c.OpenStream(p, network.DirInbound)
	if err != nil {
		t.Fatal(err)
	}
	second, err := c.OpenConnection(network.DirInbound, true, mustAddr(t, "/ip4/9.9.9.9/tcp/1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := second.SetPeer(p); err != nil {
		t.Fatal(err)
	}
	if c.originOf(p) != at4(9, 9, 9, 9) {
		t.Error("not where it is seen now")
	}
	second.Done()
	if c.originOf(p) != at4(66, 6, 6, 1) {
		t.Error("not where it is seen still")
	}
	first.Done()
	if !c.originOf(p).exempt() || c.streams.origin[at4(66, 6, 6, 1)] != 1 {
		t.Error("the stream is not counted where it was opened")
	}
	s.Done()
}
