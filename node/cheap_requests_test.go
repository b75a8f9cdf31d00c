package node

import (
	"bytes"
	"context"
	"iter"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/node/gate"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// readsStore counts how often a group's facts are read.
type readsStore struct {
	storage.Store
	reads atomic.Int32
}

func (s *readsStore) Facts(ctx context.Context, g protocol.GroupID) iter.Seq2[storage.Fact, error] {
	s.reads.Add(1)
	return s.Store.Facts(ctx, g)
}

// coldWorld keeps no group in memory.
func coldWorld(t *testing.T, seed uint64) (*world, *readsStore) {
	s := &readsStore{Store: storage.NewMemory(storage.Config{})}
	return newWorld(t, seed, func(c *Config) { c.Store, c.Limits.CacheBytes = s, 1 }), s
}

// The node refuses a stranger what it may not have, and answers what needs no facts,
// without reading the group; a member is answered in full.
func TestStrangersHaveNoGroupRead(t *testing.T) {
	w, store := coldWorld(t, 913)
	o := w.newOwner().found()
	s := o.newSegment(1000)
	o.mustPut(s)
	stranger := at(idFor(9), "/ip4/66.6.6.6/tcp/1")
	store.reads.Store(0)
	have := func(what string, want protocol.Code, r *protocol.HaveRequest) {
		t.Helper()
		r.Group = o.id
		_, err := w.node.Have(t.Context(), stranger, r)
		wantCode(t, what, err, want)
	}
	have("an empty Have", 0, &protocol.HaveRequest{})
	have("a Have of facts", protocol.CodeDenied, &protocol.HaveRequest{Facts: []int{1}})
	have("a Have of segments", protocol.CodeDenied, &protocol.HaveRequest{Segments: []int{1}})
	_, err := w.node.Members(t.Context(), stranger, &protocol.MembersRequest{Group: o.id})
	wantCode(t, "Members", err, protocol.CodeDenied)
	_, err = w.node.Members(t.Context(), stranger, &protocol.MembersRequest{Group: o.id, Segment: s.id, Proof: o.proof(o.newSegment(1), idFor(9))})
	wantCode(t, "Members for a segment that it may not read", err, protocol.CodeDenied)
	renewal := func(at time.Time) []protocol.GroupRenewal {
		return []protocol.GroupRenewal{{Group: o.id, Renewal: protocol.SignRenewal(newKey(w.r), network, o.id, at)}}
	}
	if _, err := w.node.Beat(t.Context(), stranger, &protocol.BeatRequest{Beat: protocol.Beat{Renewals: renewal(w.clock.now())}}); err != nil {
		t.Fatal(err)
	}
	if n := store.reads.Load(); n != 0 {
		t.Errorf("the group's facts are read %d times", n)
	}
	member := at(o.members[0].id, "")
	if m, err := w.node.Have(t.Context(), member, &protocol.HaveRequest{Group: o.id}); err != nil || len(m.FactDigests) == 0 {
		t.Error("a member's Have", err)
	}
	if m, err := w.node.Members(t.Context(), member, &protocol.MembersRequest{Group: o.id}); err != nil || len(m.Table) == 0 {
		t.Error("a member's Members", err)
	}
	if m, err := w.node.Members(t.Context(), stranger, &protocol.MembersRequest{Group: o.id, Segment: s.id, Proof: o.proof(s, idFor(9))}); err != nil || len(m.Table) == 0 {
		t.Error("a reader's Members", err)
	}
}

// For a member's renewals a group is read only when they are news.
func TestOldRenewalsHaveNoGroupRead(t *testing.T) {
	w, store := coldWorld(t, 914)
	o := w.newOwner().found()
	beat := func(at time.Time) int {
		store.reads.Store(0)
		r := []protocol.GroupRenewal{{Group: o.id, Renewal: protocol.SignRenewal(o.renew, network, o.id, at)}}
		if _, err := w.node.Beat(t.Context(), protocol.Remote{Peer: o.members[0].id}, &protocol.BeatRequest{Beat: protocol.Beat{Renewals: r}}); err != nil {
			t.Fatal(err)
		}
		return int(store.reads.Load())
	}
	now := w.clock.now()
	if n := beat(now); n == 0 || w.node.leases.last(o.id) != now.Unix() {
		t.Errorf("a new renewal: %d reads, the newest is of %d", n, w.node.leases.last(o.id))
	}
	for _, at := range []time.Time{now, now.Add(-time.Hour)} {
		if n := beat(at); n != 0 {
			t.Errorf("an old renewal: %d reads", n)
		}
	}
}

// A stranger's requests that make the node read groups are paced; others are not held
// up.
func TestColdGroupsArePaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &readsStore{Store: storage.NewMemory(storage.Config{})}
		w := newWorld(t, 915, func(c *Config) { c.Store, c.Limits.CacheBytes, c.Now = s, 1, time.Now })
		o := w.newOwner().found()
		w.node.neighbours.Grant(o.id, true, protocol.MaxGroupSegments)
		have := func(addr string) error {
			_, err := w.node.Have(t.Context(), at(idFor(9), addr), &protocol.HaveRequest{Group: o.id, Named: []protocol.SegmentID{{1}}})
			return err
		}
		s.reads.Store(0)
		begun := time.Now()
		for range 50 {
			if err := have("/ip4/66.6.6.6/tcp/1"); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took < 30*time.Second {
			t.Errorf("%d groups of 4,096 segments are read in %v", s.reads.Load(), took)
		}
		begun = time.Now()
		if err := have("/ip4/77.7.7.7/tcp/1"); err != nil || time.Since(begun) > 0 {
			t.Errorf("another waits %v: %v", time.Since(begun), err)
		}
	})
}

// While a folder is missing, a member that compares the largest group gets all its
// answers at once. What the folder has of the group is seen soon after it is back.
func TestPartialGroupsAreNotReadForEachQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &readsStore{Store: storage.NewMemory(storage.Config{Quota: 1 << 28})}
		other := &folder{Store: storage.NewMemory(storage.Config{Quota: 1 << 27})}
		w := newWorld(t, 918, func(c *Config) {
			c.Store, c.Now, c.Mono = storage.NewDisks(s, other), time.Now, nil
		})
		o := w.newOwner().found()
		if s.Usage().Groups != 1 {
			t.Fatal("the group lies in the other folder: the test tests nothing")
		}
		other.away.Store(true)
		w.restart()
		w.node.neighbours.Grant(o.id, true, protocol.MaxGroupSegments)
		s.reads.Store(0)
		begun := time.Now()
		for range 40 {
			if _, err := w.node.Have(t.Context(), at(o.members[0].id, "/ip4/66.6.6.6/tcp/1"), &protocol.HaveRequest{Group: o.id, Facts: []int{1}}); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begun); took > 0 || s.reads.Load() != 1 {
			t.Errorf("40 questions take %v, and %d reads of the group", took, s.reads.Load())
		}
		other.away.Store(false)
		for _, want := range []bool{true, false} {
			g, release, err := w.node.groups.Open(t.Context(), o.id)
			if err != nil {
				t.Fatal(err)
			}
			if g.Partial != want {
				t.Errorf("the folder is back since %v: partial %v", time.Since(begun), g.Partial)
			}
			release()
			time.Sleep(time.Minute)
		}
	})
}

// A shard that is put again is read once an hour, within the memory of the peer that
// puts it; once it is damaged it is taken again.
func TestPutOfHeldReadsOnceAnHour(t *testing.T) {
	store := &countingStore{Store: storage.NewMemory(storage.Config{})}
	w := newWorld(t, 907, func(c *Config) {
		c.Store, c.Limits = store, gate.Limits{Body: protocol.MaxShardSize}
	})
	o := w.newOwner().found()
	s := o.newSegment(8 << 20)
	o.mustPut(s)
	puts := func(n int) int {
		store.take()
		for range n {
			if _, err := w.node.Put(t.Context(), at(o.client.id, "/ip4/66.6.6.6/tcp/1"), o.putRequest(s), brokenReader{}); err == nil {
				t.Fatal("a broken put succeeds")
			}
		}
		return len(store.take())
	}
	if n := puts(50); n != 1 {
		t.Errorf("50 puts without a body: %d times 4 MiB read from the disk", n)
	}
	w.clock.step(trustFor)
	if n := puts(50); n != 1 {
		t.Errorf("an hour later: %d times", n)
	}
	o.mustPut(s)
	key := storage.ShardKey{Segment: s.id, Slot: ownSlot}
	w.node.shardDamaged(t.Context(), o.id, key, storage.ErrCorrupt)
	o.mustPut(s)
	if w.node.scrub.isDamaged(key) {
		t.Error("a damaged shard is not taken again")
	}
	w.clock.step(trustFor)
	store.take()
	free, err := w.node.gate.Own(t.Context(), protocol.MaxShardSize)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.node.Put(ctx, at(o.client.id, ""), o.putRequest(s), bytes.NewReader(s.shards[ownSlot]))
	wantCode(t, "a put of a held shard, where memory is short", err, protocol.CodeUnavailable)
	if len(store.take()) > 0 {
		t.Error("it is read without memory for it")
	}
	free()
}
