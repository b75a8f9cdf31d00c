package p2p

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

func recordKey(key, peer int) ds.Key { return ds.NewKey(name(claimKey(key), claimPeer(peer))) }

func queried(t *testing.T, r *records, prefix string) int {
	t.Helper()
	res, err := r.Query(t.Context(), query.Query{Prefix: prefix})
	if err != nil {
		t.Fatal(err)
	}
	all, err := res.Rest()
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestRecords(t *testing.T) {
	r := newRecords("self", maxClaimBytes, time.Now)
	ctx := t.Context()
	for key := range 10 {
		for peer := range key + 1 {
			for range 2 {
				if err := r.Put(ctx, recordKey(key, peer), stamp(claimTime)); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	third := recordKey(3, 0).Parent().String()
	for prefix, want := range map[string]int{
		"/providers/": 55, "/providers": 55, "": 55, third: 4, recordKey(9999, 0).Parent().String(): 0, "/other": 0,
	} {
		if n := queried(t, r, prefix); n != want {
			t.Errorf("%q: %d records, not %d", prefix, n, want)
		}
	}
	if n, err := r.GetSize(ctx, recordKey(3, 0)); n != len(stamp(claimTime)) || err != nil {
		t.Fatal(n, err)
	}
	for _, k := range []string{"/providers", "/providers/!/A", "/other/AA/AA", "/providers/AA"} {
		if err := r.Put(ctx, ds.NewKey(k), stamp(claimTime)); err == nil {
			t.Errorf("%s was taken", k)
		}
	}
	for key := range 10 {
		for peer := range key + 1 {
			if err := r.Delete(ctx, recordKey(key, peer)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := r.Get(ctx, recordKey(3, 0)); !errors.Is(err, ds.ErrNotFound) {
		t.Fatal(err)
	}
	if r.claims.bytes != 0 {
		t.Fatalf("left behind: %d bytes", r.claims.bytes)
	}
}

// asked is a stream that brings a request, and its connection.
type asked struct {
	network.Stream
	conn askedConn
}

type askedConn struct {
	network.Conn
	from peer.ID
	at   multiaddr.Multiaddr
}

func (s asked) Conn() network.Conn                       { return s.conn }
func (c askedConn) RemotePeer() peer.ID                  { return c.from }
func (c askedConn) RemoteMultiaddr() multiaddr.Multiaddr { return c.at }

func askedBy(from peer.ID, at string) asked {
	return asked{conn: askedConn{from: from, at: multiaddr.StringCast(at)}}
}

var someAddr = [][]byte{multiaddr.StringCast("/ip4/9.9.9.9/tcp/1").Bytes()}

// ask hands an announcement to guard and reports whether it was let through.
func ask(t *testing.T, r *records, from peer.ID, at string, key string, named ...peer.ID) bool {
	t.Helper()
	m := &pb.Message{Type: pb.Message_ADD_PROVIDER, Key: []byte(key)}
	for _, id := range named {
		m.ProviderPeers = append(m.ProviderPeers, &pb.Message_Peer{Id: []byte(id), Addrs: slices.Repeat(someAddr, announcedAddrs+1)})
	}
	r.guard(context.Background(), askedBy(from, at), m)
	switch {
	case len(m.ProviderPeers) == 0:
		return false
	case len(m.ProviderPeers) > 1 || len(m.ProviderPeers[0].Addrs) > announcedAddrs:
		t.Errorf("%d entries, %d addresses were let through", len(m.ProviderPeers), len(m.ProviderPeers[0].Addrs))
	case string(m.Key) != string(r.sink):
		t.Error("kad-dht would hold the record back, and answer from it")
	}
	return true
}

func TestGuardOfAnnouncements(t *testing.T) {
	now := claimTime
	r := newRecords("self", maxClaimBytes, func() time.Time { return now })
	a, b := newPeerID(t), newPeerID(t)
	const at = "/ip4/9.9.9.9/tcp/1"
	if ask(t, r, a, at, claimKey(1), b) || ask(t, r, a, at, claimKey(1)) || len(r.claims.keys) != 0 {
		t.Error("a peer may announce others")
	}
	if ask(t, r, a, at, "x", a) || ask(t, r, a, at, claimKey(1)+"x", a) {
		t.Error("what can be no group's key was taken")
	}
	if !ask(t, r, a, at, claimKey(1), b, a, a) || r.claims.find(claimKey(1), string(a)) == nil {
		t.Error("a true announcement was refused")
	}
	other := &pb.Message{Type: pb.Message_FIND_NODE, Key: []byte("anything")}
	r.guard(t.Context(), askedBy(a, at), other)
	if string(other.Key) != "anything" {
		t.Error("another request was changed")
	}
}

// One peer may announce a number of keys in one go, and some per second after
// that. Telling again what is known costs it nothing.
func TestAnnouncementsOfOnePeerAreBounded(t *testing.T) {
	now := claimTime
	r := newRecords("self", maxClaimBytes, func() time.Time { return now })
	a, b := newPeerID(t), newPeerID(t)
	const at = "/ip4/9.9.9.9/tcp/1"
	for i := range announceBurst / 2 {
		if !ask(t, r, a, at, claimKey(i), a) {
			t.Fatalf("announcement %d refused", i)
		}
	}
	for i := range announceBurst {
		if !ask(t, r, a, at, claimKey(i%100), a) {
			t.Fatal("what was told before is refused")
		}
	}
	taken := 0
	for i := range 2 * announceBurst {
		if ask(t, r, a, "/ip4/9.9.8.8/tcp/1", claimKey(i), a) {
			taken++
		}
	}
	if taken != announceBurst/2 {
		t.Errorf("%d more announcements were taken at once", taken)
	}
	if !ask(t, r, b, at, claimKey(1), b) {
		t.Error("another peer pays")
	}
	now = now.Add(time.Second)
	for i := range 2 * announceRate {
		if ask(t, r, a, at, claimKey(2*announceBurst+i), a) != (i < announceRate) {
			t.Errorf("announcement %d after a second", i)
		}
	}
}
