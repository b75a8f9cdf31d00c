package p2p

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"
)

func TestEnvelope(t *testing.T) {
	var now atomic.Int64 // seconds
	now.Store(1_700_000_000)
	node := startNode(t, Config{Now: func() time.Time { return time.Unix(now.Load(), 0) }})
	first, err := node.Envelope()
	if err != nil {
		t.Fatal(err)
	}
	r, err := first.Open()
	if err != nil {
		t.Fatal(err)
	}
	if r.Peer != node.Self() || len(r.Addrs) != 2 || !overTCP(r.Addrs[0]) {
		t.Fatalf("says %+v", r)
	}
	if again, err := node.Envelope(); err != nil || !bytes.Equal(again, first) {
		t.Fatal("another envelope for the same addresses at once: ", err)
	}
	now.Add(int64(envelopeAge / time.Second))
	later, err := node.Envelope()
	if err != nil {
		t.Fatal(err)
	}
	if l, err := later.Open(); err != nil || l.Seq <= r.Seq {
		t.Fatalf("sequence number %d after %d: %v", l.Seq, r.Seq, err)
	}
	now.Add(-24 * 60 * 60) // a clock set back
	node.envelope.addrs = nil
	back, err := node.Envelope()
	if err != nil {
		t.Fatal(err)
	}
	if b, err := back.Open(); err != nil || b.Seq <= r.Seq {
		t.Fatalf("a clock set back made sequence number %d: %v", b.Seq, err)
	}
}

func TestClientHasNoAddress(t *testing.T) {
	client := start(t, Config{})
	if a := client.Addrs(); len(a) != 0 {
		t.Fatalf("a client is at %v", a)
	}
	e, err := client.Envelope()
	if err != nil {
		t.Fatal(err)
	}
	if r, err := e.Open(); err != nil || len(r.Addrs) != 0 {
		t.Fatalf("says %+v, %v", r, err)
	}
}

func TestMetricsOfTwoHosts(t *testing.T) {
	ours, theirs := prometheus.NewRegistry(), prometheus.NewRegistry()
	node := startNode(t, Config{Registerer: theirs})
	startClient(t, Config{Registerer: ours}, node)
	if all, err := ours.Gather(); err != nil || len(all) == 0 {
		t.Fatalf("%d metrics, %v", len(all), err)
	}
}

// TestEnvelopeOfPeer: peers are told of new addresses without asking.
func TestEnvelopeOfPeer(t *testing.T) {
	node := startNode(t, Config{Listen: []multiaddr.Multiaddr{mustAddr(t, "/ip4/127.0.0.1/tcp/0")}})
	client := startClient(t, Config{}, node)
	tells := func(addrs int) func() bool {
		return func() bool {
			rec, err := client.EnvelopeOf(node.Self()).Open()
			return err == nil && rec.Peer == node.Self() && len(rec.Addrs) == addrs
		}
	}
	eventually(t, "the node's envelope is known", tells(1))
	if err := node.host.Network().Listen(mustAddr(t, "/ip4/127.0.0.1/udp/0/quic-v1")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "so is its next one", tells(2))
	if e := client.EnvelopeOf(newPeerID(t)); e != nil {
		t.Errorf("nobody's envelope: %d bytes", len(e))
	}
	if e := node.EnvelopeOf(client.Self()); e != nil {
		t.Errorf("envelope of a client: %d bytes", len(e))
	}
	if err := node.Close(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is forgotten with the connection", func() bool { return client.EnvelopeOf(node.Self()) == nil })
}
