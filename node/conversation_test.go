package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// lister is a member with facts of its own, each message of which takes its time.
type lister struct {
	protocol.Handler
	facts  map[protocol.Hash]protocol.Fact
	rate   int           // bytes a second at which what it says comes
	pause  time.Duration // before each page of facts
	apiece bool          // it gives one fact at a time
	asked  int
}

func newLister(h protocol.Handler, facts []protocol.Fact) *lister {
	l := &lister{Handler: h, facts: make(map[protocol.Hash]protocol.Fact), rate: 1 << 40}
	for _, f := range facts {
		l.facts[f.ID()] = f
	}
	return l
}

func (l *lister) take(bytes int) {
	time.Sleep(time.Duration(float64(bytes) / float64(l.rate) * float64(time.Second)))
}

func (l *lister) Have(_ context.Context, _ protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	m := &protocol.HaveReply{FactDigests: randomBytes(rand.New(rand.NewPCG(1, 1)), 8192)}
	const room = 6000
	for i, b := range r.Facts {
		var here []protocol.Hash
		for h := range l.facts {
			if int(h[0]) == b {
				here = append(here, h)
			}
		}
		if len(m.Facts)+len(here) > room {
			break
		}
		m.Facts, m.FactsDone = append(m.Facts, here...), i+1
	}
	slices.SortFunc(m.Facts, protocol.CompareIDs)
	l.take(len(m.FactDigests) + len(m.Facts)*nameSize)
	return m, nil
}

func (l *lister) Facts(_ context.Context, _ protocol.Remote, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	m := &protocol.FactsReply{Results: make([]protocol.Code, len(r.Offer))}
	l.asked++
	if len(r.Want) == 0 {
		return m, nil
	}
	time.Sleep(l.pause)
	page := &factPage{room: replyRoom}
	for _, h := range r.Want {
		if !page.add(l.facts[h]) || l.apiece {
			break
		}
	}
	m.Facts = page.facts
	l.take(replyRoom - page.room)
	return m, nil
}

// listed has a town's node compare facts with a member that has some.
func listed(t *testing.T, facts func(*townOwner) []protocol.Fact, how func(*lister), check func(*town, *townOwner, *lister, func() error)) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, profile.N)
		o, c := w.stored()
		c.Close()
		l := newLister(w.nodes[1], facts(o))
		how(l)
		w.peers[1].Serve(func(s protocol.Stream) { _ = protocol.Serve(t.Context(), s, l) })
		time.Sleep(5 * time.Minute) // streams to the honest one end
		check(w, o, l, func() error {
			g, release, err := w.nodes[0].groups.Open(t.Context(), o.id)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			_, err = w.nodes[0].compare(t.Context(), g, w.peers[1].Self())
			return err
		})
		w.close()
	})
}

func nothings(n int) (out []protocol.Fact) {
	for i := range n {
		out = append(out, fact(protocol.FactGrant, fmt.Append(nil, "nothing ", i)))
	}
	return out
}

// A member that gives what it lists piece by piece is soon given up.
func TestDribbledFacts(t *testing.T) {
	made := func(*townOwner) []protocol.Fact { return nothings(5000) }
	listed(t, made, func(l *lister) { l.pause, l.apiece = exchangeTimeout-200*time.Millisecond, true }, func(_ *town, _ *townOwner, l *lister, compare func() error) {
		begun := time.Now()
		err := compare()
		if took := time.Since(begun); took > 2*compareSlack || err == nil {
			t.Errorf("it took %v, %d requests: %v", took, l.asked, err)
		}
	})
}

// What came before a member was given up is kept, and the next comparison goes on
// from there.
func TestComparisonGoesOn(t *testing.T) {
	const deletes = 40
	all := func(o *townOwner) (out []protocol.Fact) {
		for i := range deletes {
			out = append(out, fact(protocol.FactDelete, protocol.SignDelete(o.key, network, o.id, slices.Repeat([]byte{byte(i + 1)}, 32))))
		}
		return out
	}
	listed(t, all, func(l *lister) { l.pause, l.apiece = 4*time.Second, true }, func(w *town, o *townOwner, _ *lister, compare func() error) {
		had, rounds := len(w.truths(o.id)[0]), 0
		for rounds < 10 && len(w.truths(o.id)[0]) < had+deletes {
			before := len(w.truths(o.id)[0])
			_ = compare()
			if rounds++; len(w.truths(o.id)[0]) == before {
				t.Fatal("a comparison learns nothing")
			}
		}
		if rounds < 2 || len(w.truths(o.id)[0]) < had+deletes {
			t.Errorf("%d rounds, %d of %d facts", rounds, len(w.truths(o.id)[0])-had, deletes)
		}
	})
}

// An honest member with as many facts as a group can have gives all of them on the
// slowest line that is tolerated, in one comparison.
func TestSlowestMemberComparesAll(t *testing.T) {
	const deletes = 4000
	all := func(o *townOwner) (out []protocol.Fact) {
		for i := range deletes {
			s := protocol.Sum(fmt.Append(nil, i))
			out = append(out, fact(protocol.FactDelete, protocol.SignDelete(o.key, network, o.id, s[:])))
		}
		return out
	}
	listed(t, all, func(l *lister) { l.rate = 16 << 10 }, func(w *town, o *townOwner, _ *lister, compare func() error) {
		had := len(w.truths(o.id)[0])
		begun := time.Now()
		if err := compare(); err != nil {
			t.Error(time.Since(begun), err)
		}
		if got := len(w.truths(o.id)[0]) - had; got != deletes {
			t.Errorf("%d of %d facts", got, deletes)
		}
	})
}

// slowLister lists one bucket a reply, as late as it may.
type slowLister struct{ protocol.Handler }

func (slowLister) Have(_ context.Context, _ protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	m := new(protocol.HaveReply)
	if len(r.Segments) == 0 {
		m.SegmentDigests = randomBytes(rand.New(rand.NewPCG(2, 2)), 8192)
		return m, nil
	}
	time.Sleep(exchangeTimeout - 200*time.Millisecond)
	m.SegmentsDone = 1
	return m, nil
}

// Strangers that ask for slots and dribble what they have do not keep other groups'
// audits waiting.
func TestDribbledLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		placed := &placedNet{addrs: make(map[peer.ID]multiaddr.Multiaddr)}
		w := newWorld(t, 908, func(c *Config) { c.Now = time.Now; placed.fakeNet = c.Net.(*fakeNet); c.Net = placed })
		o := w.newOwner().found()
		for range 600 {
			o.mustPut(o.newSegment(100))
		}
		for i := range 8 { // they know the group's ID, as each reader of its links does
			id := newIdentity(t, w.r).id
			w.net.peers[id] = slowLister{}
			placed.addrs[id] = multiaddr.StringCast(fmt.Sprintf("/ip4/66.6.6.%d/tcp/1", i))
			_, err := w.node.Enter(t.Context(), at(id, ""), &protocol.EnterRequest{Group: o.id, Slot: i % 3})
			wantCode(t, "enter", err, protocol.CodeDisputed)
		}
		begun := time.Now()
		if err := w.node.auditGroup(t.Context(), o.id); err != nil {
			t.Fatal(err)
		}
		w.node.caller.Close()
		if took := time.Since(begun); took > 3*hearSlack {
			t.Errorf("all other audits wait for %v", took)
		}
		time.Sleep(time.Minute)
	})
}

// Members that dawdle are asked where nobody else answers: those that are gone tell
// nothing.
func TestDawdlersAreBetterThanTheGone(t *testing.T) {
	w := newWorld(t, 916, nil)
	o := w.newOwner().found()
	nb := w.node.neighbours
	var slow []peer.ID
	for _, m := range o.members {
		if m.id != w.net.id && len(slow) < 2 {
			slow = append(slow, m.id)
		}
	}
	for range 10 * 24 {
		w.clock.step(time.Hour)
		for _, m := range o.members {
			switch {
			case m.id == w.net.id:
			case slices.Contains(slow, m.id):
				nb.Beaten(m.id, &protocol.Beat{Clock: w.clock.now().Unix()})
			default:
				nb.Unanswered(m.id)
			}
		}
	}
	if !slices.Contains(w.node.comembers(o.id, false), slow[0]) {
		t.Fatal("the test tests nothing")
	}
	for _, id := range slow {
		w.node.exchange.dawdle(id, nb.Now(), day)
	}
	for _, all := range []bool{false, true} {
		with := w.node.comembers(o.id, all)
		for _, id := range slow {
			if !slices.Contains(with, id) {
				t.Errorf("all: %v: %d are asked, and not who answers", all, len(with))
			}
		}
	}
}

// slowReader reads names at the least rate, and has all that it is asked about.
type slowReader struct{ protocol.Handler }

func (slowReader) Have(ctx context.Context, _ protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	select {
	case <-time.After(time.Duration(len(r.Named)*nameSize) * time.Second / protocol.MinRate):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	m := &protocol.HaveReply{Held: make([]bool, len(r.Named))}
	for i := range m.Held {
		m.Held[i] = true
	}
	return m, nil
}

// A peer that reads no faster than it must can say which of all segments that a group
// can have it has: to a leaver, and to a member that it told that it lacks them.
func TestSlowReadersAreAskedInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 909, func(c *Config) { c.Now = time.Now })
		o := w.newOwner().found()
		to, slot := o.members[(ownSlot+1)%len(o.members)].id, (ownSlot+1)%len(o.members)
		w.net.peers[to] = slowReader{}
		shares := make([]keptShard, protocol.MaxGroupSegments)
		for i := range shares {
			shares[i].key.Segment = protocol.SegmentID(protocol.Sum(fmt.Append(nil, i)))
			w.node.neighbours.Miss(o.id, to, slot, shares[i].key.Segment)
		}
		if lacks, err := w.node.lackedBy(t.Context(), o.id, to, shares); err != nil || len(lacks) != 0 {
			t.Errorf("it lacks %d: %v", len(lacks), err)
		}
		w.node.askLacking(t.Context(), o.id, to, slot)
		if n := len(w.node.neighbours.LackedBy(o.id, to, slot, len(shares))); n != 0 {
			t.Errorf("%d count as lacking", n)
		}
		w.node.caller.Close()
		time.Sleep(time.Minute)
	})
}
