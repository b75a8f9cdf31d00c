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

// Facts come 512 at a time; each forged one is a lie. A forger who sends them on
// many streams at once has no more of them looked at than one who waits.
func TestForgedFactsAreLies(t *testing.T) {
	w := newWorld(t, 93, nil)
	o := w.newOwner().found()
	thief := w.newOwner()
	var forged []protocol.Fact
	for range 100 {
		forged = append(forged, fact(protocol.FactGrant, protocol.SignGrant(thief.key, network, o.id, randomBytes(w.r, 32), 1000)))
	}
	liar := at(thief.client.id, "/ip4/66.6.6.6/tcp/1")
	g, release, err := w.node.groups.openTurn(t.Context(), o.id)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	looked := make([]int, 32)
	for i := range looked {
		all.Go(func() {
			o := w.node.mergeOffer(liar, g, forged)
			for _, c := range o.codes {
				if c == protocol.CodeDenied {
					looked[i]++
				}
			}
			if (o.cut == nil) != (looked[i] == len(forged)) {
				t.Errorf("%d forged facts were looked at: %v", looked[i], o.cut)
			}
		})
	}
	all.Wait()
	release()
	sum := 0
	for _, n := range looked {
		sum += n
	}
	if sum < peerStrikes || sum > peerStrikes+len(looked) {
		t.Errorf("%d forged facts were looked at", sum)
	}
	if !w.node.strikes.out(liar, w.clock.now()) {
		t.Error("the forger may go on")
	}
	c := w.visitor(liar)
	if _, err := c.Facts(t.Context(), w.net.id, &protocol.FactsRequest{Group: o.id.Prefix(), Offer: forged}); err == nil {
		t.Error("the forger is answered")
	}
	if n := w.node.Status().Traffic; n.Shunned != 1 {
		t.Errorf("%d peers shunned", n.Shunned)
	}
	if codes, err := o.offer(at(o.client.id, ""), o.grantPointer(o.newPointer())); err != nil || codes[0] != 0 {
		t.Error("its owner is refused: ", codes, err)
	}
}

// What comes true in an offer before its peer is cut off counts, and is durable.
func TestOfferOfALiarIsKept(t *testing.T) {
	w := newWorld(t, 94, nil)
	o := w.newOwner().found()
	thief := w.newOwner()
	offer := []protocol.Fact{o.grantPointer(o.newPointer())}
	for range peerStrikes + 10 {
		offer = append(offer, fact(protocol.FactGrant, protocol.SignGrant(thief.key, network, o.id, randomBytes(w.r, 32), 1000)))
	}
	_, err := o.offer(at(thief.client.id, "/ip4/66.6.6.6/tcp/1"), offer...)
	wantCode(t, "an offer with too many lies", err, protocol.CodeUnavailable)
	w.restart()
	g, release, err := w.node.groups.open(t.Context(), o.id)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if !g.durableGrant(offer[0].ID()) {
		t.Error("the true fact is not kept")
	}
}

// A request that waited for its turn is not looked into once its peer is out.
func TestWaitingRequestsOfALiar(t *testing.T) {
	w := newWorld(t, 95, nil)
	o := w.newOwner().found()
	liar := at(newIdentity(t, w.r).id, "/ip4/66.6.6.6/tcp/1")
	_, end := net.Pipe()
	v := &session{Node: w.node, Stream: seenStream{pipeStream{end, liar.Peer}, liar}}
	for !w.node.blame(liar, nil) {
	}
	_, err := v.Facts(t.Context(), liar, &protocol.FactsRequest{Group: o.id.Prefix()})
	wantCode(t, "facts", err, protocol.CodeUnavailable)
	_, err = v.Put(t.Context(), liar, new(protocol.PutRequest), nil)
	wantCode(t, "put", err, protocol.CodeUnavailable)
	_, err = v.Keep(t.Context(), liar, 1<<20)
	wantCode(t, "keep", err, protocol.CodeUnavailable)
	v.end()
}

func TestLiesAreTold(t *testing.T) {
	for c, want := range map[protocol.Code]bool{
		0: false, protocol.CodeNotFound: false, protocol.CodeFull: false, protocol.CodeUnavailable: false, protocol.CodeDeleted: false,
		protocol.CodeForged: true, protocol.CodeMalformed: true, protocol.CodeDenied: true, protocol.CodeNetwork: true,
	} {
		if isLie(c) != want {
			t.Errorf("code %v: a lie: %t", c, isLie(c))
		}
	}
}
