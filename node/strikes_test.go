package node

import (
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// seenStream is a stream of a peer at an address.
type seenStream struct {
	pipeStream
	from protocol.Remote
}

func (s seenStream) Remote() protocol.Remote { return s.from }

// shunning notes who is shunned.
type shunning struct {
	*fakeNet
	mu   sync.Mutex
	list []peer.ID
}

func (s *shunning) Shun(p peer.ID, _ time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, p)
}

func (s *shunning) shunned() []peer.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.list
}

// visitor asks the node over streams, as a peer at an address.
type visitor struct {
	*fakeNet
	node *Node
	from protocol.Remote
}

func (v visitor) Open(context.Context, peer.ID) (protocol.Stream, error) {
	a, b := net.Pipe()
	go v.node.Serve(seenStream{pipeStream{b, v.from.Peer}, v.from})
	return pipeStream{a, v.node.self}, nil
}

func (w *world) visitor(from protocol.Remote) *protocol.Caller {
	c := protocol.NewCaller(visitor{w.net, w.node, from})
	w.t.Cleanup(c.Close)
	return c
}

// A peer that sends bad read proofs has so many of them looked at, then it is
// sent away; another is served as before, also from the same address.
func TestBadReadProofs(t *testing.T) {
	net := new(shunning)
	w := newWorld(t, 91, func(c *Config) {
		f, _ := c.Net.(*fakeNet)
		net.fakeNet = f
		c.Net = net
	})
	o := w.newOwner().found()
	s := o.newSegment(100_000)
	o.mustPut(s)
	liar := at(newIdentity(t, w.r).id, "/ip4/66.6.6.6/tcp/1")
	bad := &protocol.GetRequest{Segment: s.id, Slot: ownSlot, Proof: protocol.SignRead(o.key, network, s.id, liar.Peer)}
	c, looked := w.visitor(liar), 0
	for range 10_000 {
		_, _, err := c.Get(t.Context(), w.net.id, bad, nil, protocol.MaxShardSize)
		if protocol.CodeOf(err) == protocol.CodeDenied {
			looked++
		}
	}
	if looked > peerStrikes || looked < peerStrikes/2 {
		t.Errorf("%d bad proofs were looked at", looked)
	}
	if all := net.shunned(); len(all) == 0 || all[0] != liar.Peer {
		t.Errorf("shunned: %v", all)
	}
	if n := w.node.Status().Traffic; n.Shunned != int64(len(net.shunned())) || n.TurnedAway == 0 {
		t.Errorf("%+v", n)
	}
	honest := at(o.client.id, "/ip4/66.6.6.7/tcp/1")
	good := &protocol.GetRequest{Segment: s.id, Slot: ownSlot, Proof: o.proof(s, o.client.id)}
	if _, _, err := w.visitor(honest).Get(t.Context(), w.net.id, good, nil, protocol.MaxShardSize); err != nil {
		t.Error("an honest reader: ", err)
	}
	w.clock.step(shunFor)
	if _, _, err := w.visitor(liar).Get(t.Context(), w.net.id, bad, nil, protocol.MaxShardSize); protocol.CodeOf(err) != protocol.CodeDenied {
		t.Error("it is never forgiven: ", err)
	}
}

// Many identities at one source have what they claim looked at a few thousand
// times together; then each is sent away at its first lie, and who does not lie
// stays.
func TestBadProofsOfOneSource(t *testing.T) {
	w := newWorld(t, 92, nil)
	now := w.clock.now()
	s, looked := w.node.strikes, 0
	for i := range 200 {
		for range peerStrikes {
			if looked++; s.count(from(i, "66.6.6.6"), 1, now) {
				break
			}
		}
	}
	if most := sourceStrikes + 200; looked > most {
		t.Errorf("%d lies of one source were looked at, more than %d", looked, most)
	}
	honest := from(1000, "66.6.6.7")
	if s.out(honest, now) || s.count(honest, 0, now) {
		t.Error("who does not lie is sent away")
	}
	if !s.count(honest, 1, now) || s.count(from(1001, "66.6.7.7"), 1, now) {
		t.Error("the first lie from there, or from elsewhere")
	}
}

// Facts come 512 at a time; each forged one is a lie.
func TestForgedFactsAreLies(t *testing.T) {
	w := newWorld(t, 93, nil)
	o := w.newOwner().found()
	thief := w.newOwner()
	var forged []protocol.Fact
	for range 300 {
		forged = append(forged, fact(protocol.FactGrant, protocol.SignGrant(thief.key, network, o.id, randomBytes(w.r, 32), 1000)))
	}
	liar := at(thief.client.id, "/ip4/66.6.6.6/tcp/1")
	c := w.visitor(liar)
	for range 20 {
		_, _ = c.Facts(t.Context(), w.net.id, &protocol.FactsRequest{Group: o.id.Prefix(), Offer: forged})
	}
	if n := w.node.Status().Traffic; n.Requests > 2 {
		t.Errorf("%d requests of 300 forged facts each were looked at", n.Requests)
	}
	if !w.node.strikes.out(liar, w.clock.now()) {
		t.Error("the forger may go on")
	}
	if codes, err := o.offer(at(o.client.id, ""), o.grantPointer(o.newPointer())); err != nil || codes[0] != 0 {
		t.Error("its owner is refused: ", codes, err)
	}
}

func TestLiesAreTold(t *testing.T) {
	for _, c := range []struct {
		answer any
		err    error
		want   int
	}{
		{nil, nil, 0},
		{nil, protocol.Refuse(protocol.CodeNotFound, ""), 0},
		{nil, protocol.Refuse(protocol.CodeFull, ""), 0},
		{nil, errDisk, 0},
		{nil, protocol.Refuse(protocol.CodeForged, ""), 1},
		{(*protocol.FactsReply)(nil), protocol.Refuse(protocol.CodeMalformed, ""), 1},
		{&protocol.FactsReply{Results: []protocol.Code{0, protocol.CodeDenied, protocol.CodeDeleted, protocol.CodeNetwork}}, nil, 2},
	} {
		if n := liesIn(c.answer, c.err); n != c.want {
			t.Errorf("%v, %v: %d lies", c.answer, c.err, n)
		}
	}
}
