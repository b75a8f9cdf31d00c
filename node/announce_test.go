package node

import (
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

func (w *world) announceAll() {
	w.t.Helper()
	if err := w.node.announceOnce(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

func TestAnnouncedFromFirstGrantToLast(t *testing.T) {
	w := newWorld(t, 61, nil)
	o := w.newOwner().found()
	key := protocol.FindKey(o.id.Prefix())
	w.announceAll()
	if w.net.announced[key] != 0 {
		t.Fatal("a group without grants is announced")
	}
	s := o.newSegment(100)
	w.net.fail = errDisk
	o.mustPut(s)
	if err := w.node.announceOnce(t.Context()); err == nil {
		t.Fatal("a failed announcement passed for done")
	}
	w.net.fail = nil
	w.announceAll()
	w.announceAll()
	if w.net.announced[key] != 1 || w.node.Status().Announced != 1 {
		t.Fatalf("announced %d times", w.net.announced[key])
	}
	o.mustPut(o.newSegment(100))
	w.announceAll()
	if w.net.announced[key] != 1 {
		t.Fatal("announced anew for a second segment")
	}
	w.restart()
	w.announceAll()
	if w.net.announced[key] != 2 {
		t.Fatal("a restart does not announce")
	}
	other := w.newOwner().found()
	other.must(fact(protocol.FactGrant, other.newSegment(100).grant))
	only := other.newSegment(100)
	other.must(fact(protocol.FactGrant, only.grant))
	other.must(other.deleteFact(only.id[:]))
	w.announceAll()
	if w.net.announced[protocol.FindKey(other.id.Prefix())] != 1 {
		t.Fatal("a grant that came as a fact does not announce")
	}
	g, release, err := w.node.groups.Open(t.Context(), other.id)
	if err != nil {
		t.Fatal(err)
	}
	var dels []protocol.Fact
	granted, _ := g.GrantedSegments()
	for _, s := range granted {
		dels = append(dels, other.deleteFact(s[:]))
	}
	release()
	other.must(dels...)
	w.announceAll()
	if w.net.announced[protocol.FindKey(other.id.Prefix())] != 0 {
		t.Fatal("a group without live grants stays announced")
	}
}

func TestOnlyAnnouncersAnnounce(t *testing.T) {
	w := newWorld(t, 62, nil)
	big := protocol.Profile{K: 8, R: 20, N: 30}
	in, out := 0, 0
	for range 60 {
		o := w.newOwner()
		o.profile = big
		holders := make([]peer.ID, big.N)
		for i := range holders {
			holders[i] = newIdentity(t, w.r).id
		}
		holders[ownSlot] = w.net.id
		o.table = o.tableOf(holders)
		o.found()
		o.must(fact(protocol.FactGrant, protocol.SignGrant(o.key, network, o.id, make([]byte, 32), 1)))
		w.announceAll()
		want := slices.Contains(group.Announcers(o.id, holders), w.net.id)
		if got := w.net.announced[protocol.FindKey(o.id.Prefix())] == 1; got != want {
			t.Fatalf("announced %t, want %t", got, want)
		}
		if want {
			in++
		} else {
			out++
		}
	}
	if in == 0 || out == 0 {
		t.Errorf("%d announced, %d not: the test shows nothing", in, out)
	}
}
