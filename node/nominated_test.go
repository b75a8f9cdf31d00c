package node

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// A damaged note is like none: the clocks begin anew, and nobody is gone.
func TestDamagedNotes(t *testing.T) {
	w := newWorld(t, 61, nil)
	o := w.newOwner().found()
	for _, k := range []uint8{note.Seats, note.Standings, note.Nominated} {
		if err := w.store.PutFact(t.Context(), storage.Fact{Group: o.id, Kind: k, Bytes: []byte("rubbish")}); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	for _, h := range w.node.neighbours.Holders(o.id) {
		if !h.Member || h.State != liveness.Present {
			t.Errorf("slot %d: %+v", h.Slot, h)
		}
	}
	if err := w.node.saveViews(t.Context(), false); err != nil {
		t.Fatal(err)
	}
	kinds := make(map[uint8]int)
	for f, err := range w.store.Facts(t.Context(), o.id) {
		if err != nil {
			t.Fatal(err)
		}
		kinds[f.Kind]++
	}
	if kinds[note.Seats] != 1 || kinds[note.Standings] != 1 {
		t.Errorf("notes after that: %v", kinds)
	}
}

// A node that was nominated for another's slot receives its shards and serves
// them, over restarts.
func TestNominatedNodeTakesItsSlot(t *testing.T) {
	w := newWorld(t, 62, nil)
	o := w.newOwner()
	o.members[ownSlot] = newIdentity(t, w.r)
	holders := make([]peer.ID, len(o.members))
	for i := range holders {
		holders[i] = o.members[i].id
	}
	o.table = o.tableOf(holders)
	_, err := o.offer(at(o.client.id, ""), o.founding()...)
	wantCode(t, "a table that names others", err, protocol.CodeWrongSlot)
	from := at(o.members[0].id, "")
	take := func(slot int) error {
		return w.node.takeSlot(t.Context(), from, o.id, slot, o.record, o.table)
	}
	wantCode(t, "no such slot", take(profile.N), protocol.CodeWrongSlot)
	wantCode(t, "nominated", take(ownSlot), 0)
	wantCode(t, "again", take(ownSlot), 0)
	wantCode(t, "for another slot", take(1), protocol.CodeWrongSlot)
	s := o.newSegment(1000)
	o.mustPut(s)
	for range 2 {
		if _, err := o.get(s, 0, 0); err != nil {
			t.Error(err)
		}
		if _, own, ok := w.node.neighbours.SlotsOf(o.id); !ok || own != ownSlot || len(w.node.neighbours.Members(o.id)) != 1+profile.N {
			t.Errorf("slot %d, %d members", own, len(w.node.neighbours.Members(o.id)))
		}
		w.restart()
	}
}
