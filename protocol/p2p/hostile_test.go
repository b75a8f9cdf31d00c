package p2p

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/x/simlibp2p"
	"github.com/marcopolo/simnet"
	"google.golang.org/protobuf/proto"

	"github.com/cairnstore/cairn/protocol"
)

const (
	kadProtocol  = "/cairn/" + testNetwork + "/kad/1.0.0"
	testProtocol = "/cairn/" + testNetwork + "/1"
)

// rogue is a bare libp2p host: it keeps no rule.
type rogue struct {
	host.Host
	t testing.TB
}

func newRogue(t testing.TB, to *Host, opts ...libp2p.Option) *rogue {
	t.Helper()
	h, err := libp2p.New(append([]libp2p.Option{
		libp2p.NoListenAddrs, libp2p.DisableMetrics(), libp2p.ResourceManager(&network.NullResourceManager{}),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	r := &rogue{h, t}
	if err := h.Connect(deadline(t), infos(to)[0]); err != nil {
		t.Fatal(err)
	}
	return r
}

// open opens a stream on which nothing was said.
func (r *rogue) open(to *Host, id string) (network.Stream, error) {
	s, err := r.NewStream(deadline(r.t), to.Self(), libprotocol.ID(id))
	if err == nil {
		_ = s.SetDeadline(time.Now().Add(20 * time.Second))
	}
	return s, err
}

// announcement is a message that announces the rogue for a key.
func (r *rogue) announcement(key protocol.Key) []byte {
	m := &pb.Message{Type: pb.Message_ADD_PROVIDER, Key: hashOf(key), ProviderPeers: []*pb.Message_Peer{{
		Id: []byte(r.ID()), Addrs: someAddr,
	}}}
	b, err := proto.Marshal(m)
	if err != nil {
		r.t.Fatal(err)
	}
	return append(binary.AppendUvarint(nil, uint64(len(b))), b...)
}

func numbered(i int) (k protocol.Key) {
	binary.BigEndian.PutUint64(k[:], uint64(i))
	return k
}

// settled waits until the streams and goroutines of an attack are gone.
func settled(t *testing.T, h *Host, goroutines int) {
	t.Helper()
	eventually(t, "streams and goroutines are as before", func() bool {
		open := 0
		for _, c := range h.host.Network().Conns() {
			open += len(c.GetStreams())
		}
		return open <= 8 && runtime.NumGoroutine() <= goroutines+8
	})
}

// A peer that announces without end fills its own share and nothing more;
// others are found meanwhile and afterwards.
func TestFloodOfAnnouncements(t *testing.T) {
	node := startNode(t, Config{})
	honest := startNode(t, Config{}, node)
	key := testKey(t)
	if err := honest.Announce(key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the honest record arrives", func() bool { return recorded(node, key, honest.Self()) })
	goroutines := runtime.NumGoroutine()
	r := newRogue(t, node)
	refused := 0
	for i := 0; i < 2*maxPeerClaims && refused < 3; {
		s, err := r.open(node, kadProtocol)
		if err != nil {
			t.Fatal(err)
		}
		for ; err == nil && i < 2*maxPeerClaims; i++ {
			_, err = s.Write(r.announcement(numbered(i)))
		}
		if err != nil {
			refused++
		}
		_ = s.CloseWrite()
		_, _ = s.Read(make([]byte, 1)) // until the node has read it all
		_ = s.Reset()
	}
	node.records.mu.Lock()
	kept, bytes := node.records.claims.claimants[string(r.ID())].claims, node.records.claims.bytes
	node.records.mu.Unlock()
	if kept > maxPeerClaims || kept < maxPeerClaims*9/10 || refused == 0 {
		t.Errorf("%d records of one peer are kept, %d streams were cut", kept, refused)
	}
	if bytes > maxClaimBytes {
		t.Errorf("%d bytes", bytes)
	}
	client := startClient(t, Config{}, node)
	if !findsProvider(deadline(t), client, key, honest.Self()) {
		t.Error("the flood hides an honest provider")
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	_ = r.Close()
	settled(t, node, goroutines)
}

// Requests to the DHT that announce megabytes get no memory, and a peer that
// opens many streams to it finds all but a few reset.
func TestGiantRequestsToTheDHT(t *testing.T) {
	node := startNode(t, Config{})
	goroutines := runtime.NumGoroutine()
	r := newRogue(t, node)
	before := allocated()
	for range 200 {
		s, err := r.open(node, kadProtocol)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write(binary.AppendUvarint(nil, 4<<20))
		if _, err := s.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Fatal("a request of 4 MiB is waited for: ", err)
		}
	}
	if took := allocated() - before; took > 64<<20 {
		t.Errorf("200 announced requests took %d bytes", took)
	}
	held, reset := 0, 0
	for range 4 * maxKadPeer {
		s, err := r.open(node, kadProtocol)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = s.Write(binary.AppendUvarint(nil, maxKadRequest)) // half-open
		_ = s.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if _, err := s.Read(make([]byte, 1)); isTimeout(err) {
			held++
		} else {
			reset++
		}
	}
	if held != maxKadPeer || reset != 3*maxKadPeer {
		t.Errorf("%d half-open streams are borne, %d were reset", held, reset)
	}
	client := startClient(t, Config{}, node)
	if _, err := client.Closest(deadline(t), testKey(t)); err != nil {
		t.Error("the DHT does not answer others: ", err)
	}
	if err := client.Close(); err != nil {
		t.Error(err)
	}
	_ = r.Close()
	settled(t, node, goroutines)
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

// allocated returns how many bytes were ever allocated.
func allocated() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.TotalAlloc
}

// One node with 10,000 groups, as a full one has on a small network, is found
// for each of them at each of 20 others.
func TestTenThousandGroupsAreAllFound(t *testing.T) {
	const nodes, groups = 20, 10_000
	if testing.Short() {
		t.Skip("it takes a minute")
	}
	first := startNode(t, Config{})
	hosts := []*Host{first}
	for range nodes - 1 {
		hosts = append(hosts, startNode(t, Config{}, first))
	}
	for _, h := range hosts {
		eventually(t, "everybody is in every table", func() bool { return h.dht.RoutingTable().Size() == nodes-1 })
	}
	donor := startNode(t, Config{}, first)
	keys := make([]protocol.Key, groups)
	for i := range keys {
		keys[i] = numbered(i)
	}
	begun := time.Now()
	if err := donor.Announce(keys...); err != nil {
		t.Fatal(err)
	}
	within := time.Now().Add(3 * time.Minute)
	for i, h := range hosts {
		for toldBy(h, donor) < groups {
			if time.Now().After(within) {
				t.Fatalf("node %d was told of %d groups", i, toldBy(h, donor))
			}
			if !protocol.Sleep(t.Context(), 50*time.Millisecond) {
				return
			}
		}
	}
	t.Logf("%d groups at %d nodes after %v", groups, nodes, time.Since(begun).Round(time.Second))
	client := startClient(t, Config{}, hosts[nodes/2])
	for i := 0; i < groups; i += 499 {
		if !findsProvider(deadline(t), client, keys[i], donor.Self()) {
			t.Fatalf("group %d is not found", i)
		}
	}
}

// toldBy returns how many records of a peer a host keeps.
func toldBy(h, of *Host) int {
	h.records.mu.Lock()
	defer h.records.mu.Unlock()
	if c := h.records.claims.claimants[string(of.Self())]; c != nil {
		return c.claims
	}
	return 0
}

// TestRoguesOfOnePrefix has 40 identities at 40 addresses of one /24 announce
// one group, on a simulated public network. Three of them are kept.
func TestRoguesOfOnePrefix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCity(t, 2)
		defer c.net.Close()
		c.start(0)
		c.start(1)
		key := testKey(t)
		var rogues []*rogue
		var wg sync.WaitGroup
		for i := range 40 {
			link := simnet.LinkSettings{BitsPerSecond: 50 * simlibp2p.OneMbps}
			at := mustAddr(t, fmt.Sprintf("/ip4/66.6.6.%d/udp/4401/quic-v1", i+1))
			r := newRogue(t, c.up[0], simlibp2p.QUICSimnet(c.net, simnet.NodeBiDiLinkSettings{Downlink: link, Uplink: link}),
				libp2p.ListenAddrs(at), libp2p.DisableIdentifyAddressDiscovery())
			rogues = append(rogues, r)
			wg.Go(func() {
				s, err := r.open(c.up[0], kadProtocol)
				if err == nil {
					_, _ = s.Write(r.announcement(key))
					_ = s.Close()
				}
			})
		}
		wg.Wait()
		if err := c.up[1].Announce(key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // of the simulation
		kept := 0
		for _, r := range rogues {
			if recorded(c.up[0], key, r.ID()) {
				kept++
			}
			_ = r.Close()
		}
		if kept != maxKeyNarrow {
			t.Errorf("%d of one prefix are kept", kept)
		}
		if !recorded(c.up[0], key, c.up[1].Self()) {
			t.Error("an honest provider is not")
		}
		c.stop(0)
		c.stop(1)
	})
}

// A peer that opens streams and says nothing on them is tolerated up to a number,
// and another peer can still open its own meanwhile.
func TestMuteStreams(t *testing.T) {
	node := startNode(t, Config{})
	client := startClient(t, Config{}, node)
	goroutines := runtime.NumGoroutine()
	r := newRogue(t, node)
	c := r.Network().ConnsToPeer(node.Self())[0]
	for range 2*maxPeerMute - 8 { // QUIC and yamux open no more at a time
		s, err := c.NewStream(deadline(t))
		if err == nil {
			_, err = s.Write([]byte{19}) // "/multistream/1.0.0" would follow
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	control, ok := node.host.Network().ResourceManager().(*crowdControl)
	if !ok {
		t.Fatal("the host has another resource manager")
	}
	eventually(t, "the streams arrive", func() bool { return control.mute.count() == maxPeerMute })
	for range 50 {
		s, err := client.Open(deadline(t), node.Self())
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		if err == nil {
			_, err = io.ReadFull(s, make([]byte, 1))
		}
		if err != nil {
			t.Fatal("an honest stream: ", err)
		}
		_ = s.Reset()
	}
	if n := control.mute.count(); n > maxPeerMute+8 {
		t.Errorf("%d mute streams are borne", n)
	}
	_ = r.Close()
	settled(t, node, goroutines)
	eventually(t, "nothing is counted any more", func() bool { return control.mute.count() == 0 })
}

// A shunned peer loses its connections and gets none for a while; the others
// keep theirs.
func TestShun(t *testing.T) {
	now := time.Now()
	var mu sync.Mutex
	node := startNode(t, Config{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	r, client := newRogue(t, node), startClient(t, Config{}, node)
	node.Shun(r.ID(), now.Add(time.Minute))
	eventually(t, "the connection ends", func() bool { return len(r.Network().ConnsToPeer(node.Self())) == 0 })
	for range 3 {
		if s, err := r.open(node, testProtocol); err == nil {
			if _, err = s.Read(make([]byte, 1)); err == nil {
				t.Fatal("a shunned peer is served")
			}
		}
	}
	if s, err := client.Open(deadline(t), node.Self()); err != nil {
		t.Error("another peer: ", err)
	} else {
		_ = s.Reset()
	}
	mu.Lock()
	now = now.Add(time.Minute)
	mu.Unlock()
	eventually(t, "it is let in again", func() bool {
		s, err := r.open(node, testProtocol)
		if err == nil {
			_, err = s.Write([]byte("x"))
		}
		if err == nil {
			_, err = io.ReadFull(s, make([]byte, 1))
		}
		return err == nil
	})
}

// Another peer behind the address of a peer is not mistaken for it, and does not
// keep it from being found at its own.
func TestWrongPeerBehindRightAddress(t *testing.T) {
	node, wrong := startNode(t, Config{}), startNode(t, Config{})
	client := startClient(t, Config{}, startNode(t, Config{}))
	client.Learn(peer.AddrInfo{ID: node.Self(), Addrs: wrong.ownAddrs()})
	if _, err := client.Open(deadline(t), node.Self()); !errors.Is(err, protocol.ErrUnreachable) {
		t.Fatal("another peer was taken for it: ", err)
	}
	client.Learn(infos(node)[0])
	s, err := client.Open(deadline(t), node.Self())
	if err != nil {
		t.Fatal("the wrong address hides the right one: ", err)
	}
	_ = s.Reset()
}

// count returns how much is open in all.
func (t *tally) count() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.all
}
