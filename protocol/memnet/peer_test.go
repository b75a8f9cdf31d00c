package memnet

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

func TestDialNeedsTheRightAddress(t *testing.T) {
	bubble(t, Config{}, 1, func(t *testing.T, net *Net, p []*Peer) {
		q := net.Peer(PeerConfig{Seed: [32]byte{7}})
		q.Serve(echo)
		if _, err := p[0].Open(t.Context(), q.Self()); !errors.Is(err, errNoAddress) {
			t.Errorf("no address: %v", err)
		}
		p[0].Learn(peer.AddrInfo{ID: q.Self(), Addrs: []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/10.9.9.9/tcp/1")}})
		if _, err := p[0].Open(t.Context(), q.Self()); !errors.Is(err, errRefused) {
			t.Errorf("wrong address: %v", err)
		}
		p[0].Learn(q.AddrInfo())
		mustOpen(t, p[0], q)
		_ = q.Close()

		// Back with the same identity at another address, it is found by a
		// new hint only.
		q = net.Peer(PeerConfig{Seed: [32]byte{7}, Addr: multiaddr.StringCast("/ip4/203.0.113.5/tcp/4401")})
		q.Serve(echo)
		if _, err := p[0].Open(t.Context(), q.Self()); !errors.Is(err, errRefused) {
			t.Errorf("moved away: %v", err)
		}
		p[0].Learn(q.AddrInfo())
		mustOpen(t, p[0], q)
	})
}

// A peer that nobody can dial can be spoken to over a connection that it opened.
func TestNoListen(t *testing.T) {
	bubble(t, Config{}, 1, func(t *testing.T, net *Net, p []*Peer) {
		client := net.Peer(PeerConfig{NoListen: true, Bootstrap: []peer.AddrInfo{p[0].AddrInfo()}})
		client.Serve(echo)
		e, err := client.Envelope()
		if err != nil {
			t.Fatal(err)
		}
		if rec, err := e.Open(); err != nil || len(rec.Addrs) != 0 {
			t.Errorf("record %+v, %v", rec, err)
		}
		p[0].Learn(peer.AddrInfo{ID: client.Self(), Addrs: []multiaddr.Multiaddr{client.cfg.Addr}})
		if _, err := p[0].Open(t.Context(), client.Self()); !errors.Is(err, protocol.ErrUnreachable) {
			t.Errorf("dialled a peer that does not listen: %v", err)
		}
		mustOpen(t, client, p[0])
		if _, err := ask(mustOpen(t, p[0], client), []byte("hello")); err != nil {
			t.Error(err)
		}
	})
}

func TestRelayed(t *testing.T) {
	bubble(t, Config{}, 1, func(t *testing.T, net *Net, p []*Peer) {
		via := multiaddr.StringCast("/ip4/198.51.100.1/tcp/4401/p2p/" + p[0].Self().String() + "/p2p-circuit")
		q := net.Peer(PeerConfig{Addr: via})
		q.Serve(echo)
		p[0].Learn(q.AddrInfo())
		if s := mustOpen(t, p[0], q); !s.Remote().Relayed || !s.Remote().Addr.Equal(via) {
			t.Errorf("remote %+v", s.Remote())
		}
		if addr, relayed, ok := p[0].RemoteAddr(q.Self()); !relayed || !ok || !addr.Equal(via) {
			t.Errorf("seen at %v, relayed %v, connected %v", addr, relayed, ok)
		}
	})
}

func TestKnownOrder(t *testing.T) {
	bubble(t, Config{}, 4, func(t *testing.T, _ *Net, p []*Peer) {
		mustOpen(t, p[0], p[3])
		mustOpen(t, p[0], p[2])
		want := []peer.ID{p[2].Self(), p[3].Self(), p[1].Self()}
		if got := p[0].Known(); !slices.Equal(got, want) {
			t.Errorf("%v, not %v", got, want)
		}
	})
}

// A seed gives the same identities and addresses; two peers differ.
func TestIdentities(t *testing.T) {
	var ids []peer.ID
	for range 2 {
		n := New(Config{Seed: 4})
		for range 3 {
			ids = append(ids, n.Peer(PeerConfig{}).Self())
		}
	}
	if !slices.Equal(ids[:3], ids[3:]) || ids[0] == ids[1] {
		t.Error(ids)
	}
}

// A day of exchanges between many peers, some of which stop and come back, in
// a moment: nothing hangs and no stream stays behind.
func TestChurnLeavesNothing(t *testing.T) {
	const peers, hours = 30, 24
	synctest.Test(t, func(t *testing.T) {
		net := New(Config{Seed: 11, Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.05})
		all := make([]*Peer, peers)
		for i := range all {
			all[i] = net.Peer(PeerConfig{Server: true})
			all[i].Serve(echo)
		}
		for h := range hours {
			for i, p := range all {
				q := all[(i+h+1)%peers]
				p.Learn(q.AddrInfo())
				go gossip(t, p, q)
				if (i+h)%7 == 0 {
					p.Stop()
				} else {
					p.Start()
				}
			}
			time.Sleep(time.Hour)
		}
		_ = net.Close()
		synctest.Wait()
		for _, p := range all {
			if len(p.streams) != 0 || len(p.conns) != 0 {
				t.Errorf("%d streams and %d connections left", len(p.streams), len(p.conns))
			}
		}
	})
}

func gossip(t *testing.T, p, q *Peer) {
	s, err := p.Open(t.Context(), q.Self())
	if err != nil {
		return
	}
	_ = s.SetReadDeadline(time.Now().Add(time.Minute))
	_, err = ask(s, make([]byte, 1000))
	if err != nil {
		_ = s.Reset()
		return
	}
	_ = s.Close()
}
