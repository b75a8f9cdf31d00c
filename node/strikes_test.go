package node

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
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

// shunning notes which peers are shunned.
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

// Some of a peer's bad read proofs are looked at, then it is sent away; another peer
// is served as before, also from the same address.
func TestBadReadProofs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
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
	})
}

// The false claims of many identities at one source are looked at a few thousand times
// together; then each is sent away at its first lie, and a peer that does not lie
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

// forgery returns grants of a group that its owner did not sign.
func (w *world) forgery(count int, id protocol.GroupID) (forged []protocol.Fact) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for range count {
		forged = append(forged, fact(protocol.FactGrant, protocol.SignGrant(key, network, id, randomBytes(w.r, 32), 1000)))
	}
	return forged
}

// Facts come 512 at a time; each forged one is a lie. No more of a forger's facts are
// looked at if it sends them on many streams at once than if it waits: a few at first,
// then some a second, and then none.
func TestForgedFactsAreLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 93, nil)
		o := w.newOwner().found()
		forged := w.forgery(100, o.id)
		liar := at(newIdentity(t, w.r).id, "/ip4/66.6.6.6/tcp/1")
		looked := 0
		offer := func() {
			codes, err := o.offer(liar, forged...)
			if err != nil && protocol.CodeOf(err) != protocol.CodeUnavailable {
				t.Error(err)
			}
			for _, c := range codes {
				if c == protocol.CodeDenied {
					looked++
				}
			}
		}
		for range 32 {
			offer()
		}
		if looked < peerDoubted || looked > peerDoubted+1+doubtedBurst {
			t.Errorf("%d forged facts were looked at together", looked)
		}
		for range 300 {
			time.Sleep(10 * time.Millisecond)
			offer()
		}
		if looked < peerStrikes/2 || looked > peerStrikes {
			t.Errorf("%d forged facts were looked at in three seconds", looked)
		}
		if !w.node.strikes.out(liar, w.clock.now()) || w.node.Status().Traffic.Shunned != 1 {
			t.Error("the forger may go on")
		}
		if codes, err := o.offer(at(o.client.id, ""), o.grantPointer(o.newPointer())); err != nil || codes[0] != 0 {
			t.Error("its owner is refused: ", codes, err)
		}
	})
}

// True facts in an offer count, whatever lies come with them.
func TestOfferOfALiarIsKept(t *testing.T) {
	w := newWorld(t, 94, nil)
	o := w.newOwner().found()
	kept := o.grantPointer(o.newPointer())
	liar := at(newIdentity(t, w.r).id, "/ip4/66.6.6.6/tcp/1")
	for range peerStrikes - 1 {
		w.node.blame(liar, nil)
	}
	_, err := o.offer(liar, append([]protocol.Fact{kept}, w.forgery(3, o.id)...)...)
	wantCode(t, "an offer with too many lies", err, protocol.CodeUnavailable)
	w.restart()
	g, release, err := w.node.groups.Open(t.Context(), o.id)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	if !g.DurableGrant(kept.ID()) {
		t.Error("the true fact is not kept")
	}
}

// Requests of a peer that is doubted wait for one another, whatever their
// streams; those of others do not wait.
func TestDoubtedPeersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 96, nil)
		liar := at(newIdentity(t, w.r).id, "/ip4/66.6.6.6/tcp/1")
		honest := at(newIdentity(t, w.r).id, "/ip4/66.6.6.7/tcp/1")
		ask := func(from protocol.Remote) time.Duration {
			begun := time.Now()
			var all sync.WaitGroup
			for range 32 {
				c := w.visitor(from)
				all.Go(func() {
					for range 8 {
						if _, err := c.Info(t.Context(), w.net.id); err != nil {
							t.Error(err)
						}
					}
				})
			}
			all.Wait()
			return time.Since(begun)
		}
		for range peerDoubted {
			w.node.blame(liar, nil)
		}
		if took := ask(liar); took > 0 {
			t.Errorf("who told %d lies waits %s", peerDoubted, took)
		}
		w.node.blame(liar, nil)
		if took := ask(liar); took < 900*time.Millisecond || took > time.Second {
			t.Errorf("256 requests of a doubted peer took %s", took)
		}
		if took := ask(honest); took > 0 {
			t.Errorf("somebody else waits %s", took)
		}
	})
}

// A request that waited for its turn is not looked into once its peer is out.
func TestWaitingRequestsOfALiar(t *testing.T) {
	w := newWorld(t, 95, nil)
	o := w.newOwner().found()
	liar := at(newIdentity(t, w.r).id, "/ip4/66.6.6.6/tcp/1")
	_, end := net.Pipe()
	v := w.node.newSession(seenStream{pipeStream{end, liar.Peer}, liar})
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

// from is a peer numbered i at an address.
func from(i int, addr string) protocol.Remote {
	return at(peer.ID(fmt.Sprint("peer ", i)), "/ip4/"+addr+"/tcp/1")
}
