package node

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// founded founds a group over the first nodes of a town. The segments that it
// codes can be rebuilt.
func (w *town) founded(p protocol.Profile) (*townOwner, *hamlet, *protocol.Caller) {
	w.t.Helper()
	time.Sleep(2 * time.Minute)
	client, c := w.client()
	for _, m := range w.peers {
		client.Learn(m.AddrInfo())
	}
	o := w.found(c, p)
	return o, &hamlet{profile: p, key: o.key, id: o.id, village: village{t: w.t}}, c
}

// putTo puts a segment's shards to some slots' holders.
func (w *town) putTo(c *protocol.Caller, o *townOwner, s *segment, slots ...int) {
	w.t.Helper()
	for _, i := range slots {
		r := &protocol.PutRequest{Record: o.record, Slot: i, Descriptor: s.bytes, Grant: s.grant}
		if err := c.Put(w.t.Context(), w.peers[i].Self(), r, s.shards[i]); err != nil {
			w.t.Fatal(err)
		}
	}
}

// lackedHere returns how many segments each member of a group lacks, as one
// node sees it, by peer.
func (n *Node) lackedHere(id protocol.GroupID) map[peer.ID]int {
	out := make(map[peer.ID]int)
	for _, h := range n.neighbours.Holders(id) {
		if h.Member {
			out[h.Peer] = len(n.neighbours.LackedBy(id, h.Peer, h.Slot, 1<<20))
		}
	}
	return out
}

// A holder was off when its owner put a segment, and left. All members find that it
// lacks the segment; it loses nothing for that, and makes its own shard from theirs.
func TestMissedPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const late, segments = 5, 3
		w := newTown(t, profile.N)
		o, coder, c := w.founded(profile)
		first := coder.code(randomBytes(seeded(t, 81), 30_000))
		w.putTo(c, o, first, 0, 1, 2, 3, 4, 5)
		w.peers[late].Stop()
		var missed []*segment
		for i := range segments {
			s := coder.code(randomBytes(seeded(t, uint64(82+i)), 30_000))
			w.putTo(c, o, s, 0, 1, 2, 3, 4)
			missed = append(missed, s)
		}
		c.Close()
		time.Sleep(3 * day)
		w.peers[late].Start()
		time.Sleep(12 * time.Hour)
		for i, n := range w.nodes[:late] {
			lacks := n.lackedHere(o.id)
			if lacks[w.peers[late].Self()] != segments {
				t.Errorf("node %d sees the late one lack %d of %d", i, lacks[w.peers[late].Self()], segments)
			}
			delete(lacks, w.peers[late].Self())
			if slices.Max(slices.Collect(maps.Values(lacks))) > 0 {
				t.Errorf("node %d sees others lack: %v", i, lacks)
			}
			v := n.neighbours.Roll(o.id)
			tally := group.NewTally(v.Table.Slots(), v.View)
			if got := tally.Count(v.Lacking(missed[0].id)); got.Holding+got.Unaudited != late {
				t.Errorf("node %d counts %+v", i, got)
			}
			if got := tally.Count(v.Lacking(first.id)); got.Holding+got.Unaudited != profile.N {
				t.Errorf("node %d counts %+v of what was put to all", i, got)
			}
		}
		time.Sleep(36 * time.Hour)
		if got := w.nodes[late].store.Usage().Shards; got != 1+segments {
			t.Fatalf("the late one holds %d shards", got)
		}
		if got := w.nodes[late].Status().Traffic.Mended; got != segments {
			t.Errorf("it made %d shards", got)
		}
		time.Sleep(12 * day)
		for i, n := range w.nodes {
			if got := len(n.neighbours.Members(o.id)); got != profile.N {
				t.Errorf("node %d counts %d members", i, got)
			}
			for p, lacks := range n.lackedHere(o.id) {
				if lacks > 0 {
					t.Errorf("node %d still sees %s lack %d", i, protocol.ShortPeer(p), lacks)
				}
			}
			if got := n.count.repaired.Load(); got != 0 {
				t.Errorf("node %d repaired %d shards", i, got)
			}
		}
		w.close()
	})
}

// Where so many holders missed a put that the segment needs repair, its repairer
// brings it to those that lack it, and to itself, if it is one of them.
func TestRepairFillsWhoLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, profile.N)
		o, coder, c := w.founded(profile)
		w.putTo(c, o, coder.code(randomBytes(seeded(t, 85), 30_000)), 0, 1, 2, 3, 4, 5)
		w.peers[4].Stop()
		w.peers[5].Stop()
		w.putTo(c, o, coder.code(randomBytes(seeded(t, 86), 30_000)), 0, 1, 2, 3)
		c.Close()
		time.Sleep(time.Hour)
		w.peers[4].Start()
		w.peers[5].Start()
		took, repaired, mended := time.Duration(0), int64(0), int64(0)
		for ; took < 10*day && (w.nodes[4].store.Usage().Shards < 2 || w.nodes[5].store.Usage().Shards < 2); took += time.Hour {
			time.Sleep(time.Hour)
		}
		for _, n := range w.nodes {
			repaired, mended = repaired+n.count.repaired.Load(), mended+n.count.mended.Load()
		}
		t.Logf("after %v: %d shards repaired, %d mended by their holders", took, repaired, mended)
		if repaired+mended != 2 || took >= 10*day {
			t.Errorf("%d shards repaired, %d mended", repaired, mended)
		}
		w.close()
	})
}

// listing is a member whose Have says what a test wants.
type listing struct {
	protocol.Handler
	says  func(*protocol.HaveReply)
	asked atomic.Int32
}

// A Have counts for its own holder only: without digests it says nothing, digests of
// what the holder does not have are refuted by audits, and a holder that denies what
// it has counts as lacking it.
func TestListsOfLiars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, profile.N)
		o, coder, c := w.founded(profile)
		for i := range 4 {
			s := coder.code(randomBytes(seeded(t, uint64(90+i)), 30_000))
			w.putTo(c, o, s, 0, 2, 3, 4, 5) // 1 never gets it
		}
		c.Close()
		ask := func(i int, says func(*protocol.HaveReply)) (told bool) {
			l := &listing{Handler: w.nodes[i], says: says}
			w.peers[i].Serve(func(s protocol.Stream) { _ = protocol.Serve(t.Context(), s, l) })
			time.Sleep(5 * time.Minute) // streams to the honest one end
			g, release, err := w.nodes[0].groups.Open(t.Context(), o.id)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			told, err = w.nodes[0].compare(t.Context(), g, w.peers[i].Self())
			if err != nil || l.asked.Load() == 0 {
				t.Errorf("node %d, asked %d times: %v", i, l.asked.Load(), err)
			}
			return told
		}
		honest := w.nodes[0].digestsHere(t, o.id)
		if ask(2, func(r *protocol.HaveReply) { r.SegmentDigests = nil }) {
			t.Error("who shows no digests has told something")
		}
		if !ask(1, func(r *protocol.HaveReply) { r.SegmentDigests = honest }) {
			t.Error("digests tell nothing")
		}
		denies := func(r *protocol.HaveReply) {
			r.SegmentDigests, r.Segments = make([]byte, len(honest)), nil
		}
		if !ask(3, denies) {
			t.Error("digests tell nothing")
		}
		want := map[peer.ID]int{w.peers[3].Self(): 4}
		got := w.nodes[0].lackedHere(o.id)
		maps.DeleteFunc(got, func(_ peer.ID, n int) bool { return n == 0 })
		if !maps.Equal(got, want) {
			t.Errorf("it sees lack: %v", got)
		}
		time.Sleep(3 * day)
		if w.nodes[0].neighbours.IsMember(o.id, w.peers[1].Self()) {
			t.Error("who lists what it cannot prove is still a member")
		}
		if !w.nodes[0].neighbours.IsMember(o.id, w.peers[2].Self()) {
			t.Error("who lists nothing is no member, though it proves what it has")
		}
		w.close()
	})
}

func (n *Node) digestsHere(t *testing.T, id protocol.GroupID) []byte {
	g, release, err := n.groups.Open(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	return g.Have(new(protocol.HaveRequest), true, true).SegmentDigests
}

// A holder that came by proof, too late for some segment, makes nothing for itself,
// and keeps its slot as long as nobody need bring it the segment. Once the segment
// needs repair it has a week.
func TestLateForASegment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slot = 4
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 2, 1000, inMemory)
		here, late := h.all[0], h.candidateFor(slot)
		h.fill(late, slot, h.segments[0])
		late.end()
		late.start()
		for _, o := range h.all {
			late.peer.Learn(o.peer.AddrInfo())
		}
		h.all[slot].end()
		here.work()
		time.Sleep(9 * day)
		r := &protocol.EnterRequest{Group: h.id, Slot: slot}
		if _, err := here.node.Enter(t.Context(), protocol.Remote{Peer: late.peer.Self()}, r); err != nil {
			t.Fatal(err)
		}
		late.node.neighbours.LackOwn(h.id, []protocol.SegmentID{h.segments[1].id})
		time.Sleep(20 * day)
		if !here.node.neighbours.IsMember(h.id, late.peer.Self()) {
			t.Error("who lacks what need not be brought has lost its slot")
		}
		if missing := late.node.neighbours.Missing(day, leastLent); len(missing) != 0 {
			t.Error("it is to make what never came")
		}
		h.all[3].end()
		time.Sleep(30 * day) // a week until it is gone, a week of grace, and it is chance when each is asked what it lacks
		if here.node.neighbours.IsMember(h.id, late.peer.Self()) {
			t.Error("who lacks what is to be repaired, for ever, holds its slot")
		}
		h.all[3].start()
		h.all[slot].start()
		h.close()
	})
}

func (l *listing) Have(ctx context.Context, from protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	all := *r // the digests, to falsify them
	all.Root = nil
	reply, err := l.Handler.Have(ctx, from, &all)
	if err == nil {
		l.asked.Add(1)
		l.says(reply)
	}
	return reply, err
}
