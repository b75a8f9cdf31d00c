package node

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

const day = 24 * time.Hour

// stored founds a group over the town's nodes, by a client that is gone when it
// returns, and puts one segment on all of them.
func (w *town) stored() (*townOwner, *protocol.Caller) {
	w.t.Helper()
	time.Sleep(2 * time.Minute)
	p, c := w.client()
	for _, m := range w.peers {
		p.Learn(m.AddrInfo())
	}
	o := w.found(c, profile)
	for i := range profile.N {
		r := &protocol.PutRequest{Record: o.record, Slot: i, Descriptor: o.seg.bytes, Grant: o.seg.grant}
		if err := c.Put(w.t.Context(), w.peers[i].Self(), r, o.seg.shards[i]); err != nil {
			w.t.Fatal(err)
		}
	}
	return o, c
}

// tell offers a fact to one node.
func (w *town) tell(c *protocol.Caller, o *townOwner, i int, f protocol.Fact) protocol.Code {
	w.t.Helper()
	m, err := c.Facts(w.t.Context(), w.peers[i].Self(), &protocol.FactsRequest{Group: o.id.Prefix(), Offer: []protocol.Fact{f}})
	if err != nil {
		w.t.Fatal(err)
	}
	return m.Results[0]
}

// truths returns what facts each node's store has of a group.
func (w *town) truths(id protocol.GroupID) (out [][]protocol.Hash) {
	w.t.Helper()
	for _, n := range w.nodes {
		out = append(out, (&world{t: w.t, store: &faultyStore{Store: n.store}}).factsHeld(id))
	}
	return out
}

func (w *town) agree(id protocol.GroupID) bool {
	all := w.truths(id)
	for _, v := range all {
		if !slices.Equal(v, all[0]) {
			return false
		}
	}
	return true
}

// A member that was away for 20 days hears of a deletion from its co-members
// alone, the owner being gone, frees the bytes, and brings nothing back: not to
// them, and not by offering what it has to others that ask.
func TestDeletedWhileAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, profile.N)
		o, c := w.stored()
		like := owner{w: &world{t: t, r: seeded(t, 61)}, key: o.key, id: o.id}
		del := like.deleteFact(o.seg.id[:])
		w.peers[5].Stop()
		for i := range 4 { // the fifth learns it from these
			if code := w.tell(c, o, i, del); code != 0 {
				t.Fatal(code)
			}
		}
		c.Close()
		time.Sleep(20 * day)
		for i, n := range w.nodes[:5] {
			if n.store.Usage().Shards != 0 {
				t.Errorf("node %d still has its shard", i)
			}
		}
		if w.nodes[5].store.Usage().Shards != 1 {
			t.Fatal("the node that is away heard of it: the test tests nothing")
		}
		w.peers[5].Start()
		time.Sleep(2 * day)
		if got := w.nodes[5].Status().Freeing; got != 1 {
			t.Errorf("after two days %d segments wait to be freed", got)
		}
		if !w.agree(o.id) {
			t.Error("the members have different facts")
		}
		time.Sleep(7 * day)
		for i, n := range w.nodes {
			if u := n.store.Usage(); u.Shards != 0 {
				t.Errorf("node %d has %d shards", i, u.Shards)
			}
		}
		w.close()
	})
}

// Whatever each member alone has heard, all of them have in a few days:
// pointers, grants, renewals, deletes, addresses.
func TestFactsSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, profile.N)
		o, c := w.stored()
		r := seeded(t, 62)
		like := &owner{w: &world{t: t, r: r}, key: o.key, renew: o.key, id: o.id}
		p, q := like.newPointer(), like.newPointer()
		granted := [2]protocol.Fact{like.grantPointer(p), like.grantPointer(q)}
		last := like.write(p, 9)
		alone := map[int][]protocol.Fact{
			0: {granted[0], like.write(p, 1)},
			1: {granted[0], like.write(p, 5), like.write(p, 5)},
			2: {granted[0], last},
			3: {granted[1], like.write(q, 3), fact(protocol.FactRenewal, protocol.SignRenewal(o.key, network, o.id, time.Now().Add(time.Hour)))},
			4: {like.deleteFact(q.id[:]), fact(protocol.FactRenewal, protocol.SignRenewal(o.key, network, o.id, time.Now()))},
		}
		for i, facts := range alone {
			for _, f := range facts {
				if code := w.tell(c, o, i, f); code != 0 {
					t.Fatalf("node %d, kind %d: %v", i, f.Kind, code)
				}
			}
		}
		c.Close()
		took := time.Duration(0)
		for ; !w.agree(o.id) && took < 7*day; took += day / 4 {
			time.Sleep(day / 4)
		}
		t.Logf("all agree after %v", took)
		if took > 4*day {
			t.Errorf("it took %v", took)
		}
		heads := 0
		for f, err := range w.nodes[5].store.Facts(t.Context(), o.id) {
			if err != nil {
				t.Fatal(err)
			}
			if protocol.FactKind(f.Kind) == protocol.FactPointer {
				heads++
				if !bytes.Equal(f.Bytes, last.Bytes) {
					t.Error("an older pointer counts")
				}
			}
		}
		if heads != 1 {
			t.Errorf("%d pointer records", heads)
		}
		w.close()
	})
}

// A member whose disk was lost is given the group's facts again by the others,
// and a member that moved is found at its new address through any of them.
func TestLostMemberLearnsItsGroups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, profile.N)
		o, c := w.stored()
		c.Close()
		lost := w.nodes[2].store
		for f := range lost.Facts(t.Context(), o.id) {
			if err := lost.DeleteFact(t.Context(), o.id, f.ID()); err != nil {
				t.Fatal(err)
			}
		}
		if err := lost.DeleteShard(t.Context(), storage.ShardKey{Segment: o.seg.id, Slot: 2}); err != nil {
			t.Fatal(err)
		}
		g, release, err := w.nodes[2].groups.OpenTurn(t.Context(), o.id)
		if err != nil {
			t.Fatal(err)
		}
		w.nodes[2].groups.Forget(g)
		release()
		time.Sleep(3 * day)
		if !w.agree(o.id) || len(w.truths(o.id)[2]) < 4 {
			t.Error("the member knows its group only in part")
		}
		w.close()
	})
}

// While a node that was away has not asked all members, it tells co-members no
// lists of segments; the owner is told, and facts are compared all the while.
func TestAwayTellsNoTruth(t *testing.T) {
	w := newWorld(t, 63, nil)
	o := w.newOwner().found()
	s := o.newSegment(1000)
	o.mustPut(s)
	w.node.exchange.cameBack(w.node.quota.IDs(), w.clock.now(), time.Hour, &w.node.rand)
	member := at(o.members[0].id, "")
	have, err := w.node.Have(t.Context(), member, &protocol.HaveRequest{Group: o.id, Facts: []int{1}})
	if err != nil || len(have.FactDigests) == 0 || len(have.SegmentDigests) != 0 {
		t.Errorf("a member: %+v, %v", have, err)
	}
	_, err = w.node.Have(t.Context(), member, &protocol.HaveRequest{Group: o.id, Segments: []int{1}})
	wantCode(t, "a member asks for lists", err, protocol.CodeUnavailable)
	proof := protocol.SignList(o.key, network, o.id, o.client.id)
	have, err = w.node.Have(t.Context(), at(o.client.id, ""), &protocol.HaveRequest{Group: o.id, Proof: proof, Segments: []int{1}})
	if err != nil || len(have.SegmentDigests) == 0 {
		t.Errorf("the owner: %+v, %v", have, err)
	}
	for _, c := range []struct {
		answered int
		stale    bool
	}{{0, true}, {1, false}} {
		w.node.exchange.done(o.id, true, c.answered, w.clock.now(), day, &w.node.rand)
		if w.node.exchange.isStale(o.id) != c.stale {
			t.Errorf("%d answered: stale is not %v", c.answered, c.stale)
		}
	}
}

// A member that lists, gives or withholds what it likes costs a bounded time
// and changes nothing.
func TestExchangeWithLiars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, profile.N)
		o, c := w.stored()
		c.Close()
		r := seeded(t, 64)
		liar := &lyingMember{Handler: w.nodes[1], r: r, id: o.id}
		w.peers[1].Serve(func(s protocol.Stream) { _ = protocol.Serve(t.Context(), s, liar) })
		time.Sleep(5 * time.Minute) // streams to the honest one end
		before := w.truths(o.id)[0]
		for lie := range lieKinds {
			liar.lie.Store(int32(lie))
			g, release, err := w.nodes[0].groups.Open(t.Context(), o.id)
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			_, err = w.nodes[0].compare(t.Context(), g, w.peers[1].Self())
			release()
			if took := time.Since(begun); took > 5*time.Minute {
				t.Errorf("lie %d: it took %v", lie, took)
			}
			if lied := liar.asked.Swap(0); lied == 0 || lie < 2 && err == nil {
				t.Errorf("lie %d, asked %d times: %v", lie, lied, err)
			}
		}
		if got := w.truths(o.id)[0]; !slices.Equal(got, before) {
			t.Errorf("%d facts, before there were %d", len(got), len(before))
		}
		w.close()
	})
}

// lieKinds are the ways in which a lyingMember lies.
const lieKinds = 5

// lyingMember says what it likes of a group.
type lyingMember struct {
	protocol.Handler
	mu  sync.Mutex
	r   *rand.Rand
	id  protocol.GroupID
	lie atomic.Int32

	asked atomic.Int32
}

func (l *lyingMember) hashes(n int, bucket byte) []protocol.Hash {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]protocol.Hash, n)
	for i := range out {
		out[i] = protocol.Hash(randomBytes(l.r, 32))
		out[i][0] = bucket
	}
	return out
}

func (l *lyingMember) Have(_ context.Context, _ protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	l.asked.Add(1)
	m := new(protocol.HaveReply)
	for _, h := range l.hashes(protocol.Buckets, 1) {
		m.FactDigests = append(m.FactDigests, h[:]...)
	}
	switch l.lie.Load() {
	case 0: // more facts than there can be
		if len(r.Facts) > 0 {
			m.Facts, m.FactsDone = l.hashes(6000, byte(r.Facts[0])), 1
		}
	case 1: // no bucket ever
	default: // a few of each
		for _, b := range r.Facts {
			m.Facts = append(m.Facts, l.hashes(8, byte(b))...)
		}
		m.FactsDone = len(r.Facts)
	}
	return m, nil
}

func (l *lyingMember) Facts(_ context.Context, _ protocol.Remote, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	m := &protocol.FactsReply{Results: make([]protocol.Code, len(r.Offer))}
	switch l.lie.Load() {
	case 2: // other facts than were asked for
		key := newKey(rand.New(rand.NewPCG(1, 1)))
		m.Facts = []protocol.Fact{fact(protocol.FactDelete, protocol.SignDelete(key, network, l.id, make([]byte, 32)))}
	case 3: // none
	case 4:
		return nil, protocol.Refuse(protocol.CodeUnavailable, "not now")
	}
	return m, nil
}

// BenchmarkExchange compares the facts of a group of a hundred segments, which
// are equal, as nearly all are: both sides' work, over pipes in memory. "cold"
// reads the group from the store at each comparison, on both sides.
func BenchmarkExchange(b *testing.B) {
	for _, c := range []struct {
		name  string
		cache int64
	}{{"cold", 1}, {"warm", 0}} {
		b.Run(c.name, func(b *testing.B) {
			small := func(cfg *Config) { cfg.Limits.CacheBytes = c.cache }
			one, two := newWorld(b, 65, small), newWorld(b, 66, small)
			o := one.newOwner()
			o.members[0] = identity{id: two.net.id}
			holders := make([]peer.ID, profile.N)
			for i, m := range o.members {
				holders[i] = m.id
			}
			o.table = o.tableOf(holders)
			facts := o.founding()
			for range 100 {
				facts = append(facts, fact(protocol.FactGrant, protocol.SignGrant(o.key, network, o.id, randomBytes(one.r, 32), 1)))
			}
			for _, w := range []*world{one, two} {
				if _, err := w.node.Facts(b.Context(), at(o.client.id, ""), &protocol.FactsRequest{Group: o.id.Prefix(), Offer: facts}); err != nil {
					b.Fatal(err)
				}
			}
			one.net.peers[two.net.id] = two.node
			for b.Loop() {
				g, release, err := one.node.groups.Open(b.Context(), o.id)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := one.node.compare(b.Context(), g, two.net.id); err != nil {
					b.Fatal(err)
				}
				release()
			}
		})
	}
}

// A node that was down for long, or that nobody answered for long, asks all
// members; one that was down for an hour does not, whatever its clock does.
func TestNoticesItsAbsence(t *testing.T) {
	w := newWorld(t, 67, nil)
	o := w.newOwner().found()
	stale := func(what string, want bool) {
		t.Helper()
		if w.node.exchange.isStale(o.id) != want {
			t.Errorf("%s: stale is not %v", what, want)
		}
	}
	look := func() {
		if err := w.node.exchangeOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	answer := func() {
		w.node.neighbours.Beaten(o.members[0].id, &protocol.Beat{})
		w.node.neighbours.Answered(o.members[0].id)
	}
	answer()
	look()
	stale("at first", false)
	if err := w.node.saveViews(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w.clock.step(time.Hour)
	w.restart()
	stale("down for an hour", false)
	answer()
	look()
	stale("and answered", false)
	if err := w.node.saveViews(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w.clock.step(-48 * time.Hour)
	answer()
	look()
	w.clock.step(23 * time.Hour)
	answer()
	look()
	stale("the clock was set back", false)
	w.clock.step(25 * time.Hour)
	look()
	stale("nobody has answered yet", false)
	answer()
	look()
	stale("nobody answered for a day", true)
	w.node.exchange.done(o.id, true, 1, w.clock.now(), day, &w.node.rand)
	if err := w.node.saveViews(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	w.clock.step(20 * day)
	w.restart()
	stale("down for 20 days", true)
	answer()
	look()
	stale("and answered, but not all asked", true)
}

// One partner at most is chosen because it has not told what it has, and none that
// no longer holds its slot.
func TestWhoNeverTellsKeepsNobodyFromBeingAsked(t *testing.T) {
	w := newWorld(t, 94, nil)
	o := w.newOwner().found()
	n := w.node
	others := n.neighbours.Holders(o.id)
	mute, left := others[0], others[1]
	for _, h := range others[2:] {
		n.neighbours.HeardList(o.id, h.Peer, n.neighbours.Question(o.id, nil, true), nil)
	}
	n.neighbours.Lose(o.id, left.Peer, left.Slot, neighbours.LostFailed)
	first, second := 0, make(map[peer.ID]bool)
	const rounds = 200
	for range rounds {
		with := n.comembers(o.id, false)
		if with[0] == mute.Peer {
			first++
		}
		second[with[1]] = true
	}
	if first != rounds || len(second) < len(others)-1 {
		t.Errorf("the mute one was the first %d times, and %d others the second", first, len(second))
	}
}
