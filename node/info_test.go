package node

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/donors"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
)

func TestInfoTellsOfAtMostSoMany(t *testing.T) {
	w := newWorld(t, 71, nil)
	for i := range 100 {
		m := newIdentity(t, w.r)
		env := m.envelope(t, 1, "/ip4/10.0.0.9/tcp/1")
		w.node.hear(env)
		switch {
		case i%2 == 0:
			w.node.donors.Answered(m.id, nil, &protocol.InfoReply{Donated: 1}, false, w.clock.now())
		case i%3 == 0:
			w.node.donors.Answered(m.id, nil, &protocol.InfoReply{}, false, w.clock.now()) // a client
		case i%5 == 0:
			w.node.donors.Answered(m.id, nil, nil, false, w.clock.now())
		}
	}
	if n := w.node.Status().Donors; n != 50 {
		t.Errorf("%d of 100 peers count as nodes, want 50", n)
	}
	info, err := w.node.Info(t.Context(), at("x", ""), nil)
	if err != nil || info.Validate() != nil || len(info.Donors) != protocol.MaxInfoDonors {
		t.Fatalf("%d nodes told of, %v", len(info.Donors), err)
	}
	b, err := protocol.Encode(info)
	if err != nil || len(b) > info.MaxLen() {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	w.clock.step(25 * time.Hour)
	if info, _ = w.node.Info(t.Context(), at("x", ""), nil); len(info.Donors) != 1 {
		t.Errorf("%d nodes told of after a day", len(info.Donors))
	}
	w.clock.step(24 * time.Hour)
	w.node.donors.Forget(w.clock.now())
	if n := w.node.donors.Count(w.clock.now()); n != 0 {
		t.Errorf("%d nodes remembered after two days", n)
	}
}

// TestInfoTellsOfNewAddressesAtOnce: where a node moves to another relay, its
// peers need not be asked to know.
func TestInfoTellsOfNewAddressesAtOnce(t *testing.T) {
	w := newWorld(t, 75, nil)
	m, liar := newIdentity(t, w.r), newIdentity(t, w.r)
	old, moved := m.envelope(t, 5, "/ip4/10.0.0.9/tcp/1"), m.envelope(t, 6, "/ip4/10.0.0.9/tcp/2")
	w.node.hear(old)
	w.node.donors.Answered(m.id, nil, &protocol.InfoReply{Donated: 1}, false, w.clock.now())
	for _, c := range []struct {
		name        string
		given, want protocol.Envelope
	}{
		{"nothing", nil, old},
		{"older", m.envelope(t, 4, "/ip4/10.0.0.9/tcp/3"), old},
		{"another's", liar.envelope(t, 7, "/ip4/10.0.0.9/tcp/4"), old},
		{"rubbish", protocol.Envelope("rubbish"), old},
		{"newer", moved, moved},
		{"gone again", nil, moved},
	} {
		w.net.envelopes = map[peer.ID]protocol.Envelope{m.id: c.given}
		info, err := w.node.Info(t.Context(), at("x", ""), nil)
		if err != nil || len(info.Donors) != 2 || !bytes.Equal(info.Donors[1], c.want) {
			t.Errorf("%s: %d told of, %v", c.name, len(info.Donors), err)
		}
	}
}

func TestFullOrFailedNodeOffersNothing(t *testing.T) {
	w := newWorld(t, 73, nil)
	info, err := w.node.Info(t.Context(), at("x", ""), nil)
	if err != nil || info.Free != 1<<30 || info.Donated != 1<<30 {
		t.Fatalf("%+v, %v", info, err)
	}
	info, _ = w.node.Info(t.Context(), at("x", "/ip4/203.0.113.1/tcp/1"), nil)
	if want := int64(1<<30) / 20; info.Free < want-1 || info.Free > want {
		t.Errorf("a public stranger is offered %d bytes", info.Free)
	}
	w.cfg.Accepts = protocol.AcceptsNobody
	w.restart()
	if info, _ = w.node.Info(t.Context(), at("x", ""), nil); info.Free != 0 {
		t.Errorf("a node that takes nobody offers %d bytes", info.Free)
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	w.cfg.Accepts = protocol.AcceptsOpen
	if _, err := New(w.cfg); err == nil {
		t.Error("a node starts over a closed store")
	}
	if s := w.node.Status(); s.Free != 0 || s.Stores[0].State != "failed" {
		t.Errorf("%+v", s)
	}
}

func TestStatus(t *testing.T) {
	w := newWorld(t, 74, nil)
	o := w.newOwner().found()
	s := o.newSegment(1000)
	o.mustPut(s)
	if _, err := o.get(s, 0, 0); err != nil {
		t.Fatal(err)
	}
	w.clock.step(90 * time.Second)
	v := w.node.Status()
	if v.Shards != 1 || v.Groups != 1 || v.Uptime != 90 || v.Traffic.Puts != 1 || v.Traffic.Gets != 1 || v.Traffic.Sent != 512 || v.Traffic.Received != 512 {
		t.Errorf("%+v", v)
	}
	if len(v.Addrs) != 1 || v.Addrs[0] != w.net.addr+"/p2p/"+w.net.id.String() || v.Reachable != ReachPrivate {
		t.Errorf("%v, %v", v.Addrs, v.Reachable)
	}
	w.net.addr = "/ip4/203.0.113.1/tcp/4401"
	if v = w.node.Status(); v.Reachable != ReachUnknown || v.Why == "" {
		t.Errorf("%v, %v", v.Reachable, v.Why)
	}
	w.cfg.Reach = func() Reachability { return Reachability{State: ReachPublic, Why: "others dialled it"} }
	w.restart()
	if v = w.node.Status(); v.Reachable != ReachPublic {
		t.Errorf("%v", v.Reachable)
	}
}

func TestNewRefusesHalfAConfig(t *testing.T) {
	w := newWorld(t, 75, nil)
	for name, change := range map[string]func(*Config){
		"no store":   func(c *Config) { c.Store = nil },
		"no network": func(c *Config) { c.Net = nil },
		"no name":    func(c *Config) { c.Network = "" },
		"negative":   func(c *Config) { c.Donated = -1 },
	} {
		cfg := w.cfg
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("%s: a node was made", name)
		} else if name != "no name" && !errors.Is(err, errConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSettledNodesAreLeftAlone: in a network where nothing changes, a node asks
// those that it hears from otherwise every three days, and the others twice a day.
func TestSettledNodesAreLeftAlone(t *testing.T) {
	d, self := donors.New(), peer.ID("self")
	beaten, quiet := peer.ID("beaten"), peer.ID("quiet")
	d.Answered(beaten, nil, &protocol.InfoReply{Donated: 1}, true, epoch)
	d.Answered(quiet, nil, &protocol.InfoReply{Donated: 1}, true, epoch)
	asked := make(map[peer.ID][]time.Duration)
	for at := time.Minute; at < 7*24*time.Hour; at += time.Minute {
		now := epoch.Add(at)
		if at%(6*time.Hour) == 0 {
			d.Spoke(beaten, nil, now)
		}
		for _, id := range d.Due(nil, self, now) {
			asked[id] = append(asked[id], at)
			d.Answered(id, nil, &protocol.InfoReply{Donated: 1}, false, now)
		}
	}
	if len(asked[beaten]) != 3 || len(asked[quiet]) != 14 {
		t.Errorf("one that is heard of was asked at %v, one that is not at %v", asked[beaten], asked[quiet])
	}
}

// TestGossipLeavesNeighboursAlone: after a start few neighbours are asked what they
// offer; the others count as nodes once they have answered a beat.
func TestGossipLeavesNeighboursAlone(t *testing.T) {
	w := newWorld(t, 79, nil)
	near := make([]identity, 20)
	table := &protocol.Table{Profile: protocol.Profile{K: 8, R: 20, N: 30}, Slots: make([][]byte, 30)}
	for i := range near {
		near[i] = newIdentity(t, w.r)
		table.Slots[i] = []byte(near[i].id)
	}
	w.node.neighbours.Open(protocol.GroupID{1}, table, -1, new(neighbours.Survey))
	far := newIdentity(t, w.r)
	due := []peer.ID{far.id}
	for _, m := range near {
		due = append(due, m.id)
	}
	if few := w.node.fewNeighbours(slices.Clone(due)); len(few) != 1+roundNear || few[0] != far.id {
		t.Errorf("of a stranger and %d neighbours %d are asked", len(near), len(few))
	}
	w.net.envelopes = make(map[peer.ID]protocol.Envelope)
	for _, m := range near[1:] {
		w.net.envelopes[m.id] = m.envelope(t, 1, "/ip4/10.0.0.9/tcp/1")
	}
	w.net.envelopes[near[2].id] = far.envelope(t, 1, "/ip4/10.0.0.9/tcp/1") // another's
	w.node.donors.Answered(near[3].id, nil, &protocol.InfoReply{}, false, w.clock.now())
	for _, m := range near {
		w.node.greet(m.id, nil)
	}
	known := w.node.donors.Due(due, w.node.self, w.clock.now())
	for _, id := range []peer.ID{far.id, near[0].id, near[2].id} {
		if !slices.Contains(known, id) {
			t.Errorf("%s is not asked", protocol.ShortPeer(id))
		}
	}
	if len(known) != 3 {
		t.Errorf("%d peers are asked", len(known))
	}
	if told := w.node.donors.Tell(len(near), far.id, w.clock.now(), w.r); len(told) != len(near)-3 {
		t.Errorf("%d of %d neighbours are told of", len(told), len(near))
	}
}
