package node

import (
	"bytes"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// another returns a group of somebody else, in which the node holds a slot of
// that one's choice.
func (w *world) another(slot int) *owner {
	o := w.newOwner()
	holders := make([]peer.ID, profile.N)
	for i := range holders {
		holders[i] = newIdentity(w.t, w.r).id
	}
	holders[slot] = w.net.id
	o.table = o.tableOf(holders)
	return o.found()
}

// steal puts a slot's shard of another owner's segment under a grant of one's
// own: whoever has a link can make every shard and knows the descriptor.
func (o *owner) steal(s *segment, slot int) {
	o.w.t.Helper()
	grant := protocol.SignGrant(o.key, network, o.id, s.id[:], s.desc.Footprint())
	r := &protocol.PutRequest{Record: o.record, Slot: slot, Descriptor: s.bytes, Grant: grant, Length: s.desc.ShardSize}
	if _, err := o.w.node.Put(o.w.t.Context(), at(o.client.id, ""), r, bytes.NewReader(s.shards[slot])); err != nil {
		o.w.t.Fatal(err)
	}
}

// getSlot asks for the shard of one slot, as readers do.
func (o *owner) getSlot(s *segment, slot int) error {
	r := &protocol.GetRequest{Segment: s.id, Slot: slot, Proof: o.proof(s, o.client.id)}
	_, _, release, err := o.w.node.Get(o.w.t.Context(), at(o.client.id, ""), r)
	if err == nil {
		release()
	}
	return err
}

// A reader of a link who puts the same segment into a group of its own, and
// deletes it there, must take nothing from its first owner.
func TestForeignDelete(t *testing.T) {
	for _, slot := range []int{0, ownSlot + 1} {
		w := newWorld(t, 71, nil)
		o := w.newOwner().found()
		s := o.newSegment(100_000)
		o.mustPut(s)
		thief := w.another(slot)
		thief.steal(s, slot)
		thief.must(thief.deleteFact(s.id[:]))

		wantCode(t, "get of what is live", o.getSlot(s, ownSlot), 0)
		wantCode(t, "get of what is deleted", o.getSlot(s, slot), protocol.CodeDeleted)
		_, err := w.node.Members(t.Context(), at(o.client.id, ""), &protocol.MembersRequest{Group: o.id, Segment: s.id, Proof: o.proof(s, o.client.id)})
		wantCode(t, "members", err, 0)

		w.restart()
		wantCode(t, "get after a restart", o.getSlot(s, ownSlot), 0)
		w.clock.step(deleteDelay)
		if err := w.node.upkeepOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "get after the freeing", o.getSlot(s, ownSlot), 0)
		wantCode(t, "get of what was freed", o.getSlot(s, slot), protocol.CodeNotFound)

		o.must(o.deleteFact(s.id[:]))
		w.clock.step(deleteDelay)
		if err := w.node.upkeepOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "get after its owner deleted it", o.getSlot(s, ownSlot), protocol.CodeNotFound)
	}
}

// What another group holds of the same segment must not stand in the way of
// freeing one's own.
func TestForeignShard(t *testing.T) {
	w := newWorld(t, 72, nil)
	o := w.newOwner().found()
	s := o.newSegment(100_000)
	o.mustPut(s)
	thief := w.another(0) // found first
	thief.steal(s, 0)
	_, err := w.node.Members(t.Context(), at(o.client.id, ""), &protocol.MembersRequest{Group: o.id, Segment: s.id, Proof: o.proof(s, o.client.id)})
	wantCode(t, "members", err, 0)
	o.must(o.deleteFact(s.id[:]))
	wantCode(t, "get of what is deleted", o.getSlot(s, ownSlot), protocol.CodeDeleted)
	wantCode(t, "get of another group's", o.getSlot(s, 0), 0)
	w.clock.step(deleteDelay)
	if err := w.node.upkeepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "get of what was freed", o.getSlot(s, ownSlot), protocol.CodeNotFound)
}
