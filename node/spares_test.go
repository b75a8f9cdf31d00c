package node

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// A peer that proves a slot which another holds is no member, but a spare: it may audit
// the members, and gets the slot once it is vacant, before another is drawn. A peer that
// only asks for such a slot learns nothing.
func TestSpare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slot = 1
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		here, holder := h.all[0], h.all[slot]
		spare, empty := h.candidateFor(slot), h.candidateFor(slot)
		h.fill(spare, slot, h.segments[0])
		spare.end()
		spare.start()
		here.work()
		time.Sleep(time.Hour)
		view := here.node.neighbours
		asks := func(m *villager) error {
			_, err := here.node.Enter(t.Context(), protocol.Remote{Peer: m.peer.Self()}, &protocol.EnterRequest{Group: h.id, Slot: slot})
			return err
		}
		audits := func(m *villager) error {
			r := &protocol.AuditRequest{Group: h.id, Shards: []protocol.ShardRef{{Segment: h.segments[0].id, Slot: 0}}}
			_, err := here.node.Audit(t.Context(), protocol.Remote{Peer: m.peer.Self()}, r)
			return err
		}
		lists := func(m *villager) error {
			here.node.nominees.drop(place{h.id, slot}) // candidates may see lists
			_, err := here.node.Members(t.Context(), protocol.Remote{Peer: m.peer.Self()}, &protocol.MembersRequest{Group: h.id})
			return err
		}
		for _, m := range []*villager{spare, empty} {
			if err := asks(m); !errors.Is(err, protocol.ErrDisputed) {
				t.Errorf("for a slot with a holder: %v", err)
			}
			if err := audits(m); !errors.Is(err, protocol.ErrDisputed) {
				t.Errorf("who has proved nothing audits: %v", err)
			}
			if err := lists(m); !errors.Is(err, protocol.ErrDenied) {
				t.Errorf("who has proved nothing sees members: %v", err)
			}
		}
		time.Sleep(day)
		if view.IsMember(h.id, spare.peer.Self()) || len(view.Members(h.id)) != 5 {
			t.Error("a spare counts")
		}
		if err := errors.Join(audits(spare), lists(spare)); err != nil {
			t.Errorf("a spare: %v", err)
		}
		if err := errors.Join(audits(empty), lists(empty)); !errors.Is(err, protocol.ErrDisputed) || !errors.Is(err, protocol.ErrDenied) {
			t.Errorf("who has nothing: %v", err)
		}
		holder.end()
		for range 10 {
			time.Sleep(day)
			if err := here.node.repairOnce(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if !view.IsMember(h.id, spare.peer.Self()) || view.IsMember(h.id, empty.peer.Self()) {
			t.Error("the spare has not got the slot of the holder that is gone")
		}
		holder.start()
		h.close()
	})
}
