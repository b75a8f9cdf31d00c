package p2p

import (
	"bytes"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestEnvelope(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	node := startNode(t, Config{Now: func() time.Time { return now }})
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
	now = now.Add(envelopeAge)
	later, err := node.Envelope()
	if err != nil {
		t.Fatal(err)
	}
	if l, err := later.Open(); err != nil || l.Seq <= r.Seq {
		t.Fatalf("sequence number %d after %d: %v", l.Seq, r.Seq, err)
	}
	now = now.Add(-24 * time.Hour) // a clock set back
	node.cfg.Listen, node.envelope.addrs = nil, nil
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
