package node

import (
	"bytes"
	"encoding/binary"
	"errors"
	"sync"
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Each case breaks one thing and everything that is checked after it, so that
// the code shows the order of the checks.
func TestPutChecksInOrder(t *testing.T) {
	w := newWorld(t, 1, func(c *Config) { c.Donated = 1 << 20 })
	o := w.newOwner().found()
	gone := o.newSegment(1000)
	o.must(o.deleteFact(gone.id[:]))
	big := o.newSegment(3 << 20)
	other := w.newOwner()
	good := o.newSegment(1000)

	from := at(o.client.id, "")
	cases := []struct {
		name string
		code protocol.Code
		r    func(r *protocol.PutRequest)
		body []byte
	}{
		{"another network", protocol.CodeNetwork, func(r *protocol.PutRequest) {
			rec := protocol.NewGroupRecord("other", protocol.PublicKeyOf(o.key), protocol.PublicKeyOf(o.renew), protocol.Hash{}, protocol.Nonce{})
			r.Record, _ = rec.Encode()
			r.Slot = 1
		}, nil},
		{"no record", protocol.CodeMalformed, func(r *protocol.PutRequest) { r.Record = nil; r.Slot = 1 }, nil},
		{"group not known", protocol.CodeUnknown, func(r *protocol.PutRequest) { r.Record = other.record; r.Slot = 1 }, nil},
		{"another slot", protocol.CodeWrongSlot, func(r *protocol.PutRequest) { r.Slot = 1; r.Grant = nil }, nil},
		{"slot beyond the table", protocol.CodeWrongSlot, func(r *protocol.PutRequest) { r.Slot = 100; r.Grant = nil }, nil},
		{"forged grant", protocol.CodeDenied, func(r *protocol.PutRequest) {
			r.Grant = protocol.SignGrant(o.renew, network, o.id, gone.id[:], 1)
		}, nil},
		{"grant of another group", protocol.CodeMalformed, func(r *protocol.PutRequest) {
			r.Grant = protocol.SignGrant(o.key, network, other.id, gone.id[:], 1)
		}, nil},
		{"grant for a pointer", protocol.CodeMalformed, func(r *protocol.PutRequest) {
			r.Grant = protocol.SignGrant(o.key, network, o.id, gone.id[:16], 1)
		}, nil},
		{"deleted", protocol.CodeDeleted, func(r *protocol.PutRequest) { r.Grant = gone.grant; r.Descriptor = nil }, nil},
		{"descriptor of another segment", protocol.CodeForged, func(r *protocol.PutRequest) { r.Descriptor = big.bytes }, nil},
		{"grant for other bytes", protocol.CodeDenied, func(r *protocol.PutRequest) {
			r.Grant = protocol.SignGrant(o.key, network, o.id, good.id[:], good.desc.Footprint()+1)
			r.Length = 64
		}, nil},
		{"coded otherwise", protocol.CodeMalformed, func(r *protocol.PutRequest) {
			d := *good.desc
			d.N, d.Roots = 5, d.Roots[:5]
			b, id := d.Encode()
			r.Descriptor = b
			r.Grant = protocol.SignGrant(o.key, network, o.id, id[:], d.Footprint())
			r.Length = 64
		}, nil},
		{"length of another shard", protocol.CodeMalformed, func(r *protocol.PutRequest) { r.Length = 64 }, nil},
		{"no room", protocol.CodeFull, func(r *protocol.PutRequest) { *r = *o.putRequest(big) }, nil},
		{"wrong bytes", protocol.CodeForged, func(*protocol.PutRequest) {}, good.shards[0]},
		{"good", 0, func(*protocol.PutRequest) {}, good.shards[ownSlot]},
		{"again", 0, func(*protocol.PutRequest) {}, good.shards[ownSlot]},
	}
	for _, c := range cases {
		r := o.putRequest(good)
		c.r(r)
		_, err := w.node.Put(t.Context(), from, r, bytes.NewReader(c.body))
		wantCode(t, c.name, err, c.code)
		if held := w.store.Usage().Shards; c.code != 0 && held != 0 {
			t.Fatalf("%s: %d shards stored", c.name, held)
		}
	}
	if n := w.store.Usage().Shards; n != 1 {
		t.Fatalf("%d shards after two puts of one", n)
	}
}

func TestPutOfWrongBytesStoresNothing(t *testing.T) {
	w := newWorld(t, 2, nil)
	o := w.newOwner().found()
	before, facts := w.store.Usage().Used, w.factsHeld(o.id)
	s := o.newSegment(100_000)
	s.shards[ownSlot][77] ^= 1
	wantCode(t, "flipped bit", o.put(at(o.client.id, ""), s), protocol.CodeForged)
	if _, err := w.node.Put(t.Context(), at(o.client.id, ""), o.putRequest(s), brokenReader{}); err == nil {
		t.Error("a body that ends early was taken")
	}
	if got := w.factsHeld(o.id); len(got) != len(facts) || w.store.Usage().Used != before {
		t.Fatalf("%d facts, %d bytes; before %d and %d", len(got), w.store.Usage().Used, len(facts), before)
	}
	if w.underWay() != 0 {
		t.Fatalf("%d bytes still count as under way", w.underWay())
	}
}

func TestFailedStoreAcknowledgesNothing(t *testing.T) {
	w := newWorld(t, 3, nil)
	o := w.newOwner().found()
	s := o.newSegment(5000)
	w.store.setFail(errDisk)
	wantCode(t, "put", o.put(at(o.client.id, ""), s), protocol.CodeUnavailable)
	p := o.newPointer()
	for range 2 { // the second offer must not be taken as known
		if _, err := o.offer(at(o.client.id, ""), o.grantPointer(p)); err == nil {
			t.Fatal("a fact was acknowledged that is not stored")
		}
	}
	if _, err := w.newOwner().offer(at(o.client.id, ""), o.founding()...); err == nil {
		t.Fatal("a group was founded that is not stored")
	}
	w.store.setFail(storage.ErrSuspended)
	wantCode(t, "suspended", o.put(at(o.client.id, ""), s), protocol.CodeSuspended)
	w.store.setFail(nil)
	o.mustPut(s)
	o.must(o.grantPointer(p))
	if w.underWay() != 0 {
		t.Fatalf("%d bytes still count as under way", w.underWay())
	}
}

func TestRestartServesAll(t *testing.T) {
	w := newWorld(t, 4, nil)
	o := w.newOwner().found()
	var list []*segment
	for _, size := range []int64{1, 64, 128, 32768, 32769, 1 << 20} {
		s := o.newSegment(size)
		o.mustPut(s)
		list = append(list, s)
	}
	p := o.newPointer()
	o.must(o.grantPointer(p), o.write(p, 7))
	before, err := w.node.Have(t.Context(), at(o.members[0].id, ""), &protocol.HaveRequest{Group: o.id})
	if err != nil {
		t.Fatal(err)
	}
	used := w.node.quota.Used(o.id)
	w.restart()
	if got := w.node.quota.Used(o.id); got < used*9/10 || got > used*11/10 {
		t.Errorf("the survey charges %d bytes, before it were %d", got, used)
	}
	after, err := w.node.Have(t.Context(), at(o.members[0].id, ""), &protocol.HaveRequest{Group: o.id})
	if err != nil || !bytes.Equal(before.FactDigests, after.FactDigests) || !bytes.Equal(before.SegmentDigests, after.SegmentDigests) {
		t.Fatalf("digests differ after a restart: %v", err)
	}
	for _, s := range list {
		got, err := o.get(s, 0, 0)
		if err != nil || !bytes.Equal(got, s.shards[ownSlot]) {
			t.Errorf("shard of %d bytes: %v", s.desc.ShardSize, err)
		}
		o.mustPut(s)
	}
	r, err := w.node.Facts(t.Context(), at(o.client.id, ""), &protocol.FactsRequest{Group: o.id.Prefix(), Pointer: p.id[:]})
	if err != nil || len(r.Facts) != 3 {
		t.Fatalf("%d facts open the pointer: %v", len(r.Facts), err)
	}
}

func TestGroupLimitOfSegments(t *testing.T) {
	w := newWorld(t, 5, nil)
	o := w.newOwner().found()
	g, release, err := w.node.groups.Open(t.Context(), o.id)
	if err != nil {
		t.Fatal(err)
	}
	defer release()
	s := o.newSegment(100)
	o.mustPut(s)
	for i := range protocol.MaxGroupSegments - 1 {
		subject := protocol.Sum(binary.BigEndian.AppendUint32(nil, uint32(i)))
		grant := &protocol.Grant{Subject: subject[:], Bytes: 1}
		f := fact(protocol.FactGrant, subject[:])
		if m := g.MergeStored(f, protocol.Opened{Kind: f.Kind, Grant: grant}, w.node.self, w.clock.now()); !m.Kept {
			t.Fatalf("grant %d: %d", i, m.Code)
		}
	}
	wantCode(t, "one more", o.put(at(o.client.id, ""), o.newSegment(100)), protocol.CodeLimit)
	codes, err := o.offer(at(o.client.id, ""), fact(protocol.FactGrant, o.newSegment(100).grant))
	if err != nil || codes[0] != protocol.CodeLimit {
		t.Errorf("one more by fact: %v, %v", codes, err)
	}
	o.mustPut(s)
}

func TestConcurrentPutsAndFacts(t *testing.T) {
	w := newWorld(t, 6, func(c *Config) { c.Limits.CacheBytes = 1 }) // evict immediately
	var owners []*owner
	var wg sync.WaitGroup
	for range 4 {
		o := w.newOwner().found()
		owners = append(owners, o)
		for range 4 {
			s := o.newSegment(20_000)
			del := o.deleteFact(s.id[:])
			kept := o.newSegment(300)
			for range 3 {
				wg.Go(func() { _ = o.put(at(o.client.id, ""), s) })
				wg.Go(func() { _ = o.put(at(o.client.id, ""), kept) })
				wg.Go(func() { _, _ = o.offer(at(o.client.id, ""), del) })
				wg.Go(func() {
					_, _ = w.node.Have(t.Context(), at(o.members[0].id, ""), &protocol.HaveRequest{Group: o.id, Facts: []int{1, 2, 3}})
				})
			}
			wg.Go(func() { _, _ = o.get(kept, 0, 0) })
		}
	}
	wg.Wait()
	if w.underWay() != 0 {
		t.Errorf("%d bytes still count as under way", w.underWay())
	}
	w.clock.step(DefaultTiming().DeleteDelay)
	if err := w.node.RunOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := w.store.Usage().Shards; n != 16 {
		t.Errorf("%d shards are left, want the 16 that nobody deleted", n)
	}
	for _, o := range owners {
		if used := w.node.quota.Used(o.id); used < 4*300 || used > 4*300+40_000 {
			t.Errorf("group is charged %d bytes", used)
		}
	}
}

func TestShardOfAnotherGroup(t *testing.T) {
	w := newWorld(t, 7, nil)
	a, b := w.newOwner().found(), w.newOwner().found()
	s := a.newSegment(500)
	a.mustPut(s)
	s.grant = protocol.SignGrant(b.key, network, b.id, s.id[:], s.desc.Footprint())
	wantCode(t, "same segment in another group", b.put(at(b.client.id, ""), s), protocol.CodeConflict)
	var no *protocol.Error
	if _, err := w.node.Members(t.Context(), at(b.client.id, ""), &protocol.MembersRequest{Group: b.id, Segment: s.id, Proof: b.proof(s, b.client.id)}); !errors.As(err, &no) || no.Code != protocol.CodeNotFound {
		t.Errorf("members of another group by that segment: %v", err)
	}
}
