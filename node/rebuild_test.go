package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// What died is made again once: the member whose turn comes next asks the candidates
// whether they have it already. Nodes that were drawn and got nothing forget the
// group.
func TestRepairMakesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const segments, dead, newcomers = 2, 2, 4
		w := newTown(t, profile.N+newcomers)
		o, coder, c := w.founded(profile)
		for i := range segments {
			w.putTo(c, o, coder.code(randomBytes(seeded(t, uint64(90+i)), 30_000)), 0, 1, 2, 3, 4, 5)
		}
		c.Close()
		time.Sleep(2 * day)
		w.peers[4].Stop()
		w.peers[5].Stop()
		time.Sleep(12 * day)
		var repaired, given int64
		for _, n := range w.nodes {
			repaired, given = repaired+n.count.repaired.Load(), given+n.count.given.Load()
		}
		t.Logf("%d shards repaired, %d bytes put", repaired, given)
		if repaired != dead*segments {
			t.Errorf("%d shards repaired, not %d", repaired, dead*segments)
		}
		for i, n := range w.nodes[profile.N:] {
			if u := n.store.Usage(); u.Shards == 0 && u.Groups > 0 {
				t.Errorf("newcomer %d keeps a group of which it has no shard", i)
			}
		}
		w.close()
	})
}

// A candidate to which nothing comes forgets the group, and may be drawn for
// another slot.
func TestCandidatesInVainLeave(t *testing.T) {
	w, elsewhere := newWorld(t, 89, nil), newWorld(t, 90, nil)
	o := elsewhere.newOwner().found()
	drawn := func(slot int) error {
		r := &protocol.NominateRequest{Group: o.id, Slot: slot, Record: o.record, Table: o.table, Bytes: 1 << 20}
		_, err := w.node.Nominate(t.Context(), at(elsewhere.net.id, ""), r)
		return err
	}
	if err := drawn(1); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "a second slot", drawn(2), protocol.CodeWrongSlot)
	w.clock.step(47 * time.Hour)
	if err := w.node.upkeepOnce(t.Context()); err != nil || w.store.Usage().Groups != 1 {
		t.Errorf("%d groups after two days, %v", w.store.Usage().Groups, err)
	}
	w.restart()
	w.clock.step(2 * time.Hour)
	if err := w.node.upkeepOnce(t.Context()); err != nil || w.store.Usage().Groups != 0 || w.node.Status().Groups != 0 {
		t.Errorf("%d groups after it, %v", w.store.Usage().Groups, err)
	}
	if err := drawn(2); err != nil {
		t.Error(err)
	}
}

// A candidate that is named for two slots, by two drawers, is to have one shard: it
// does not put repair off as if it were two.
func TestOneCandidateArrivesOnce(t *testing.T) {
	w := newWorld(t, 919, nil)
	p := protocol.Profile{K: 2, R: 4, N: 6}
	o := w.stranger(p, w.identities(p.N))
	v, now := w.node.neighbours.Roll(o.id), w.node.neighbours.Now()
	var missing group.Set
	come := func(slot, who int) {
		missing.Add(slot)
		c := nominee{peer: idFor(who), until: now + day, byTurn: true, by: idFor(slot)}
		if !w.node.nominees.name(place{o.id, slot}, c, now) {
			t.Fatalf("slot %d has no candidate", slot)
		}
		w.node.gave(v, idFor(who), protocol.SegmentID{1}, day)
	}
	arrives := func() bool {
		return w.node.arrives(v, protocol.SegmentID{1}, missing, group.Count{Holding: 3, Answering: 3})
	}
	come(3, 77)
	come(4, 77)
	if arrives() {
		t.Error("one candidate counts for two")
	}
	come(5, 78)
	if !arrives() {
		t.Error("two candidates do not count")
	}
}
