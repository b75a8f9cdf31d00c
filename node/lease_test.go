package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/storage"
)

const year = 365 * day

// renewal dated at, by some key.
func (o *owner) renewal(key ed25519.PrivateKey, at time.Time) protocol.Fact {
	return fact(protocol.FactRenewal, protocol.SignRenewal(key, network, o.id, at))
}

// beat makes all neighbours tell the time by a clock that is ahead of this node's.
func (w *world) beat(ahead time.Duration) {
	clock := w.clock.now().Add(ahead).Unix()
	for _, g := range w.node.neighbours.IDs() {
		for _, m := range w.node.neighbours.Holders(g) {
			w.node.neighbours.Beaten(m.Peer, &protocol.Beat{Clock: clock})
		}
	}
}

// agree is beat, and a round of upkeep.
func (w *world) agree(ahead time.Duration) {
	w.t.Helper()
	w.beat(ahead)
	if err := w.node.upkeepOnce(w.t.Context()); err != nil {
		w.t.Error(err)
	}
}

// live lets days go by, as a node that runs all the time sees them.
func (w *world) live(days int) {
	for range days {
		w.clock.step(day)
		w.agree(0)
	}
}

func (w *world) wantLease(o *owner, what string, want group.LeaseState) {
	w.t.Helper()
	if got := w.node.leases.state(o.id, w.clock.now()); got != want {
		w.t.Errorf("%s: the lease is %v, want %v", what, got, want)
	}
}

// A lease runs its whole course: 60 days at first, frozen for three months,
// then gone; a renewal in the frozen time brings all back.
func TestLeaseRunsOut(t *testing.T) {
	w := newWorld(t, 71, nil)
	o := w.newOwner()
	o.must(append(o.founding(), o.renewal(o.renew, epoch))...)
	s, later := o.newSegment(20_000), o.newSegment(20_000)
	o.mustPut(s)
	w.live(59)
	w.wantLease(o, "after 59 days", group.Alive)
	w.live(2)
	w.wantLease(o, "after 61 days", group.Frozen)
	wantCode(t, "put", o.put(at(o.client.id, ""), later), protocol.CodeLimit)
	if _, err := o.get(s, 0, 0); err != nil {
		t.Errorf("what is frozen is not served: %v", err)
	}
	if st := w.node.Status(); st.Frozen != 1 || st.Expired != 0 {
		t.Errorf("status: %d frozen, %d expired", st.Frozen, st.Expired)
	}
	w.restart()
	w.agree(0)
	w.wantLease(o, "after a restart", group.Frozen)
	o.must(o.renewal(o.renew, w.clock.now())) // 31 days later and more: a year
	w.wantLease(o, "renewed", group.Alive)
	o.mustPut(later)
	w.live(364)
	w.wantLease(o, "after 364 days", group.Alive)
	w.restart()
	w.live(2)
	w.wantLease(o, "after 366 days", group.Frozen)
	w.live(91)
	w.restart()
	if u := w.store.Usage(); u.Shards != 0 || u.Groups != 0 {
		t.Errorf("%d shards of %d groups are left", u.Shards, u.Groups)
	}
	if len(w.node.leases.groups) != 0 || w.node.quota.Has(o.id) {
		t.Error("the group is remembered")
	}
	// Nobody brings it back by its old renewal; its owner can begin anew.
	old := o.renewal(o.renew, epoch.Add(61*day))
	_, err := o.offer(at(o.members[0].id, ""), append(o.founding(), old)...)
	wantCode(t, "brought back", err, protocol.CodeLimit)
	o.must(append(o.founding(), o.renewal(o.renew, w.clock.now()))...)
}

// Neither this node's clock nor its neighbours' alone ends a lease, nor does any
// within a week of a step, nor where no neighbour's is known.
func TestLeaseNeedsTwoClocks(t *testing.T) {
	for _, c := range []struct {
		name  string
		own   time.Duration // step of the own clock
		ahead time.Duration // of the neighbours' then
		wait  int           // days
		want  group.LeaseState
		put   protocol.Code
	}{
		{"own clock a year ahead", year, -year, 0, group.Alive, 0},
		{"own clock a year ahead for long", year, -year, 30, group.Alive, 0},
		{"neighbours a year ahead", 0, year, 30, group.Alive, 0},
		{"both, within a week of the step", year, 0, 6, group.Frozen, protocol.CodeLimit},
		{"both, a week later", year, 0, 8, group.Expired, protocol.CodeUnknown},
	} {
		mono := time.Duration(0)
		w := newWorld(t, 72, func(cfg *Config) { cfg.Mono = func() time.Duration { return mono } })
		o := w.newOwner()
		o.must(append(o.founding(), o.renewal(o.renew, epoch))...)
		s := o.newSegment(2000)
		o.mustPut(s)
		w.agree(0)
		w.clock.step(c.own)
		for i := 0; i <= c.wait; i++ {
			w.agree(c.ahead)
			if i < c.wait {
				mono += day
				w.clock.step(day)
			}
		}
		if c.want != group.Expired {
			w.wantLease(o, c.name, c.want)
		}
		wantCode(t, c.name, o.put(at(o.client.id, ""), o.newSegment(3000)), c.put)
		if held := w.store.Usage().Shards > 0; held != (c.want != group.Expired) {
			t.Errorf("%s: held is %v", c.name, held)
		}
	}
	w := newWorld(t, 73, nil)
	o := w.newOwner()
	o.must(append(o.founding(), o.renewal(o.renew, epoch))...)
	w.clock.step(10 * year)
	if err := w.node.upkeepOnce(t.Context()); err != nil {
		t.Error(err)
	}
	w.wantLease(o, "alone for ten years", group.Frozen)
}

// killedStore allows a number of changes and fails all that follow, as a process
// that is killed does.
type killedStore struct {
	storage.Store
	left int
}

var errKilled = errors.New("killed")

func (s *killedStore) may() error {
	if s.left--; s.left < 0 {
		return errKilled
	}
	return nil
}

func (s *killedStore) DeleteShard(ctx context.Context, k storage.ShardKey) error {
	if err := s.may(); err != nil {
		return err
	}
	return s.Store.DeleteShard(ctx, k)
}

func (s *killedStore) DeleteFact(ctx context.Context, g protocol.GroupID, id protocol.Hash) error {
	if err := s.may(); err != nil {
		return err
	}
	return s.Store.DeleteFact(ctx, g, id)
}

func (s *killedStore) PutFact(ctx context.Context, f ...storage.Fact) error {
	if err := s.may(); err != nil {
		return err
	}
	return s.Store.PutFact(ctx, f...)
}

// A node that is killed in the middle of freeing an expired group goes on with
// it after the restart, wherever it was.
func TestExpiryIsCrashSafe(t *testing.T) {
	for killed := range 40 {
		w := newWorld(t, 74, nil)
		o := w.newOwner()
		o.must(append(o.founding(), o.renewal(o.renew, epoch))...)
		for range 5 {
			o.mustPut(o.newSegment(2000))
		}
		p := o.newPointer()
		o.must(o.grantPointer(p), o.write(p, 1), o.deleteFact(o.newSegment(100).id[:]))
		other := w.newOwner()
		other.must(append(other.founding(), other.renewal(other.renew, epoch))...)
		w.live(40)
		other.must(other.renewal(other.renew, w.clock.now()))
		w.live(110)
		if w.store.Usage().Groups != 2 {
			t.Fatal("it expired too early")
		}
		w.store.Store = &killedStore{w.store.Store, killed}
		w.clock.step(2 * day)
		w.beat(0)
		_ = w.node.upkeepOnce(t.Context())
		w.store.Store = w.store.Store.(*killedStore).Store
		w.restart()
		w.agree(0)
		w.restart()
		if u := w.store.Usage(); u.Shards != 0 || u.Groups != 1 {
			t.Errorf("killed after %d: %d shards, %d groups are left", killed, u.Shards, u.Groups)
		}
		w.wantLease(other, "the other group", group.Alive)
	}
}

// Only the owner key deletes, and only the renew key extends: no matter who sends it,
// what other rights they have, and whether it is replayed or dated ahead.
func TestForgedDeletesAndRenewals(t *testing.T) {
	w := newWorld(t, 75, nil)
	o, others := w.newOwner(), w.newOwner()
	first := o.renewal(o.renew, epoch)
	o.must(append(o.founding(), first)...)
	others.found()
	s := o.newSegment(2000)
	o.mustPut(s)
	w.live(40)
	stranger := newIdentity(t, w.r)
	member := o.members[0]
	memberKey := ed25519.PrivateKey(raw(member.key.Raw()))
	read := s.read // the reader of a link has the segment's secret
	now := w.clock.now()
	del := func(by ed25519.PrivateKey) protocol.Fact {
		return fact(protocol.FactDelete, protocol.SignDelete(by, network, o.id, s.id[:]))
	}
	for _, c := range []struct {
		name string
		from protocol.Remote
		fact protocol.Fact
		code protocol.Code
	}{
		{"reader deletes", at(stranger.id, ""), del(read), protocol.CodeDenied},
		{"reader renews", at(stranger.id, ""), o.renewal(read, now), protocol.CodeDenied},
		{"co-member deletes", at(member.id, ""), del(memberKey), protocol.CodeDenied},
		{"co-member renews", at(member.id, ""), o.renewal(memberKey, now), protocol.CodeDenied},
		{"stranger deletes", at(stranger.id, ""), del(newKey(w.r)), protocol.CodeDenied},
		{"stranger renews", at(stranger.id, ""), o.renewal(newKey(w.r), now), protocol.CodeDenied},
		{"delegate with the renew key deletes", at(stranger.id, ""), del(o.renew), protocol.CodeDenied},
		{"owner key renews", at(o.client.id, ""), o.renewal(o.key, now), protocol.CodeDenied},
		{"another owner deletes", at(others.client.id, ""), del(others.key), protocol.CodeDenied},
		{"delete of another group", at(o.client.id, ""), fact(protocol.FactDelete, protocol.SignDelete(o.key, network, others.id, s.id[:])), protocol.CodeMalformed},
		{"delete of another network", at(o.client.id, ""), fact(protocol.FactDelete, protocol.SignDelete(o.key, "other", o.id, s.id[:])), protocol.CodeNetwork},
		{"renewal of another group", at(o.client.id, ""), fact(protocol.FactRenewal, protocol.SignRenewal(o.renew, network, others.id, now)), protocol.CodeMalformed},
		{"grant in the place of a delete", at(o.client.id, ""), fact(protocol.FactDelete, s.grant), protocol.CodeMalformed},
		{"renewal replayed", at(member.id, ""), first, 0},
		{"renewal of next week", at(o.client.id, ""), o.renewal(o.renew, now.Add(7*day)), protocol.CodeUnavailable},
		{"renewal of next century", at(o.client.id, ""), o.renewal(o.renew, now.Add(100*year)), protocol.CodeUnavailable},
	} {
		codes, err := o.offer(c.from, c.fact)
		if err != nil || codes[0] != c.code {
			t.Errorf("%s: %v, %v; want %v", c.name, codes, err, c.code)
		}
		if _, err := o.get(s, 0, 0); err != nil {
			t.Fatalf("%s: it is deleted: %v", c.name, err)
		}
	}
	w.live(21)
	w.wantLease(o, "after all that", group.Frozen)
	o.must(o.renewal(o.renew, w.clock.now())) // the delegate's right
	w.wantLease(o, "renewed by a delegate", group.Alive)
	o.must(del(o.key))
	if _, err := o.get(s, 0, 0); protocol.CodeOf(err) != protocol.CodeDeleted {
		t.Errorf("the owner deletes: %v", err)
	}
	codes, err := o.offer(at(member.id, ""), fact(protocol.FactGrant, s.grant))
	if err != nil || codes[0] != protocol.CodeDeleted {
		t.Errorf("a co-member that missed it brings the grant back: %v, %v", codes, err)
	}
	wantCode(t, "and the shard", o.put(at(member.id, ""), s), protocol.CodeDeleted)
}

func raw(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b[:]
}
