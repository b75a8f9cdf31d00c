package memnet

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

var groupKey = protocol.FindKey(protocol.GroupPrefix{1})

func found(t *testing.T, p *Peer) []peer.ID {
	return slices.Collect(p.Providers(t.Context(), groupKey))
}

func TestClaimsOutliveTheirPeers(t *testing.T) {
	bubble(t, Config{}, 4, func(t *testing.T, _ *Net, p []*Peer) {
		if err := p[1].Announce(groupKey); err != nil {
			t.Fatal(err)
		}
		if err := p[2].Announce(groupKey); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Hour)
		if ids := found(t, p[0]); len(ids) != 2 {
			t.Fatalf("%d providers that renew", len(ids))
		}
		p[1].Stop()
		if err := p[2].Withdraw(groupKey); err != nil {
			t.Fatal(err)
		}
		time.Sleep(recordLife - time.Second)
		if ids := found(t, p[0]); len(ids) != 2 {
			t.Fatalf("%d providers before their records expire", len(ids))
		}
		time.Sleep(2 * time.Second)
		if ids := found(t, p[0]); len(ids) != 0 {
			t.Fatalf("%d providers after their records expired", len(ids))
		}
		p[1].Start()
		if ids := found(t, p[0]); !slices.Equal(ids, []peer.ID{p[1].Self()}) {
			t.Fatalf("providers after the return: %v", ids)
		}
	})
}

func TestForgedProviders(t *testing.T) {
	bubble(t, Config{}, 3, func(t *testing.T, net *Net, p []*Peer) {
		forged := []peer.ID{"nobody", "no one", p[2].Self()}
		net.Forge(groupKey, forged...)
		if err := p[1].Announce(groupKey); err != nil {
			t.Fatal(err)
		}
		if ids := found(t, p[0]); !slices.Equal(ids, append(forged, p[1].Self())) {
			t.Fatalf("%v", ids)
		}
		for range p[0].Providers(t.Context(), groupKey) {
			break // an early end is no trouble
		}
		if ids := found(t, p[2]); slices.Contains(ids, p[2].Self()) {
			t.Error("a lookup yields who asks")
		}
	})
}

func TestSilentDHT(t *testing.T) {
	bubble(t, Config{}, 3, func(t *testing.T, net *Net, p []*Peer) {
		_ = p[1].Announce(groupKey)
		net.SilenceDHT(true)
		begin := time.Now()
		if ids := found(t, p[0]); len(ids) != 0 || time.Since(begin) != lookupTimeout {
			t.Errorf("%v after %v", ids, time.Since(begin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin = time.Now()
		for range p[0].Providers(ctx, groupKey) {
			t.Error("a silent DHT answers")
		}
		if time.Since(begin) != time.Second {
			t.Errorf("gave up after %v", time.Since(begin))
		}
		if ids, err := p[0].Closest(t.Context(), groupKey); err != nil || len(ids) != 2 {
			t.Errorf("whom it knows: %v, %v", ids, err)
		}
		net.SilenceDHT(false)
		if ids := found(t, p[0]); len(ids) != 1 {
			t.Errorf("%v", ids)
		}
	})
}

func TestAloneFindsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := New(Config{})
		a, b := net.Peer(PeerConfig{Server: true}), net.Peer(PeerConfig{Server: true})
		_ = a.Announce(groupKey)
		if ids := found(t, b); len(ids) != 0 {
			t.Errorf("a peer that knows nobody found %v", ids)
		}
		b.Serve(echo)
		a.Learn(b.AddrInfo()) // a joins b
		mustOpen(t, a, b)
		if ids := found(t, b); !slices.Equal(ids, []peer.ID{a.Self()}) {
			t.Errorf("announced while alone, joined later: %v", ids)
		}
		_ = net.Close()
	})
}

// A lookup ends at the 20 servers nearest to the key, the same for everybody,
// and never at clients or at peers out of reach.
func TestClosest(t *testing.T) {
	bubble(t, Config{}, 40, func(t *testing.T, net *Net, p []*Peer) {
		client := net.Peer(PeerConfig{Bootstrap: []peer.AddrInfo{p[0].AddrInfo()}})
		ids, err := client.Closest(t.Context(), groupKey)
		if err != nil || len(ids) != closestPeers {
			t.Fatalf("%d peers, %v", len(ids), err)
		}
		far := slices.IndexFunc(p, func(q *Peer) bool { return !slices.Contains(ids, q.Self()) })
		again, _ := p[far].Closest(t.Context(), groupKey)
		if !slices.Equal(ids, again) {
			t.Errorf("%v and %v", ids, again)
		}
		mustOpen(t, client, p[slices.IndexFunc(p, func(q *Peer) bool { return q.Self() == ids[19] })])
		net.peers[ids[0]].Stop()
		net.peers[ids[1]].Freeze()
		net.Partition([]peer.ID{ids[2]})
		less, _ := client.Closest(t.Context(), groupKey)
		for _, id := range ids[:3] {
			if slices.Contains(less, id) {
				t.Errorf("%s is out of reach", id)
			}
		}
		if !slices.Equal(less[:17], ids[3:]) {
			t.Errorf("%v after %v", less, ids)
		}
	})
}
