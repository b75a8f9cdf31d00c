package node

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// idFor is a peer ID numbered i.
func idFor(i int) peer.ID {
	h := protocol.Sum(fmt.Append(nil, i))
	return peer.ID(append([]byte{0, 36, 8, 1, 18, 32}, h[:]...))
}

// newView returns a view of n groups of a profile, whose holders are drawn from
// so many peers, this one with slot 0.
func newView(n int, p protocol.Profile, peers int) *neighbours {
	timing := DefaultTiming()
	now := epoch
	h := newNeighbours(idFor(0), &timing.Liveness, &timing.Audit, func() time.Time { return now }, func() time.Duration { return now.Sub(epoch) })
	for i := range n {
		t := &protocol.Table{Profile: p, Slots: make([][]byte, p.N)}
		t.Slots[0] = []byte(h.self)
		for slot := 1; slot < p.N; slot++ {
			t.Slots[slot] = []byte(idFor(1 + (i*p.N+slot*7)%peers))
		}
		h.open(protocol.GroupID(protocol.Sum(fmt.Append(nil, "group ", i))), t, 0, new(viewSurvey))
	}
	h.resume(func() float64 { return 0.5 })
	return h
}

// notesForFuzz returns notes as a node writes them, full of everything.
func notesForFuzz(t testing.TB) []storage.Fact {
	t.Helper()
	h := newView(1, protocol.Profile{K: 26, R: 70, N: protocol.MaxShards}, 1<<20)
	var g *seats
	for _, v := range h.groups {
		g = v
	}
	for i := range 3 * protocol.MaxShards {
		h.ask(g.id, idFor(1<<21+i), i%protocol.MaxShards, "")
	}
	for _, p := range h.peers {
		p.standing = liveness.Standing{
			HeardAt: 1 << 60, Since: 1 << 60, Latest: 1 << 60, AwayUntil: 1 << 60, SuspendedUntil: 1 << 60,
			AwayUsed: 1 << 60, SuspendedUsed: 1 << 60, UsedAt: 1 << 60, Tries: math.MaxUint32, Fails: math.MaxUint16, Heard: true,
		}
	}
	for i := range g.list {
		s := &g.list[i]
		s.audits.Record = audit.Record{
			ProvedAt: 1 << 60, FailedAt: 1 << 60, ReportedAt: 1 << 60, Turned: 1 << 60,
			Audited: math.MaxUint32, Before: math.MaxUint32, Unmended: 1, Slow: math.MaxUint8, Proved: true,
		}
		s.audits.fault(protocol.SegmentID{byte(i)}, fault{true, 1 << 60})
	}
	h.watch.Now, h.watch.LastStep, h.watch.CutOff, h.watch.Steps = 1<<61, 1<<60, 1<<60, math.MaxUint32
	list, err := h.unsaved()
	if err != nil || len(list) != 2 {
		t.Fatalf("%d notes, %v", len(list), err)
	}
	return []storage.Fact{list[0].fact, list[1].fact}
}

// The fullest notes fit into the store, and read back.
func TestNotesFit(t *testing.T) {
	for _, f := range notesForFuzz(t) {
		if len(f.Bytes) > storage.MaxFact {
			t.Errorf("note of kind %#x has %d bytes", f.Kind, len(f.Bytes))
		}
		var v viewSurvey
		v.take(f)
		if len(v.stale) > 0 {
			t.Errorf("a note of kind %#x does not read back", f.Kind)
		}
	}
}

func TestSeats(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.ids()[0]
	drawn := h.holders(id)
	if len(drawn) != 5 || !h.isMember(id, drawn[0].peer) || h.isMember(id, idFor(500)) || len(h.members(id)) != 6 {
		t.Fatalf("%d seats", len(drawn))
	}
	slot, newcomer := drawn[2].slot, idFor(500)
	if !h.ask(id, newcomer, slot, "") || h.isMember(id, newcomer) || !h.sits(id, newcomer) {
		t.Error("who only asks counts")
	}
	h.prove(id, newcomer, slot)
	if !h.isMember(id, newcomer) || !h.isMember(id, drawn[2].peer) {
		t.Error("two proven holders of one slot are surplus, no harm")
	}
	h.lose(id, drawn[2].peer, slot, lostHanded)
	if h.isMember(id, drawn[2].peer) || !slices.Equal(h.takeMoved(), []protocol.GroupID{id}) {
		t.Error("who handed over holds on")
	}
	h.prove(id, drawn[2].peer, slot)
	if !h.isMember(id, drawn[2].peer) {
		t.Error("who held the slot before may come back")
	}
	h.ask(id, idFor(501), slot, "")
	h.reject(id, idFor(501), slot)
	h.ask(id, idFor(502), slot, "")
	if h.ask(id, idFor(503), slot, ""); h.sits(id, idFor(501)) || !h.sits(id, idFor(503)) {
		t.Error("who was rejected makes no room")
	}
	if h.ask(id, idFor(504), slot, "") {
		t.Error("too many may ask")
	}
	h.heardList(id, newcomer, h.question(id, []protocol.SegmentID{{1}, {2}}, true), map[protocol.SegmentID]bool{{1}: true, {2}: true})
	h.got(id, newcomer, slot, protocol.SegmentID{2})
	if g := h.groups[id]; g.lacks != 1 {
		t.Errorf("%d segments are lacked", g.lacks)
	}
	h.close(id)
	if len(h.peers) != 0 || h.holders(id) != nil {
		t.Errorf("%d neighbours without a group", len(h.peers))
	}
}

// TestWhoKnowsThisNode: who audited this node, or lets it in, knows it after a restart
// of it, too, and no more once one of the two was gone or says so. Others are asked.
func TestWhoKnowsThisNode(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.ids()[0]
	for _, p := range h.peers {
		p.standing = liveness.Standing{Heard: true}
	}
	others := h.holders(id)
	h.convinced(id, others[0].peer)
	h.answersEntry(id, others[1].peer, true)
	if known := h.roll(id).knows; known != 1 {
		t.Errorf("known to %d after one yes: that is but to be audited", known)
	}
	h.answersEntry(id, others[1].peer, true)
	h.answersEntry(id, others[2].peer, false)
	h.convinced(id, others[2].peer) // it audits who holds a slot beside another, too
	if g := h.groups[id]; !g.dirty || h.roll(id).knows != 2 {
		t.Fatalf("to be noted %v, known to %d", g.dirty, h.roll(id).knows)
	}
	f, err := h.groups[id].note(0)
	if err != nil {
		t.Fatal(err)
	}
	n, err := parseSeatsNote(f.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	again := newView(1, profile, 100)
	for _, p := range again.peers {
		p.standing = liveness.Standing{Heard: true}
	}
	again.apply(again.groups[id], n)
	if known := again.roll(id).knows; known != 2 {
		t.Errorf("after a restart known to %d", known)
	}
	again.convinced(id, others[2].peer)
	again.doubt(again.peers[others[0].peer])
	if known := again.roll(id).knows; known != 1 {
		t.Errorf("after one was gone known to %d", known)
	}
	for range 2 {
		again.answersEntry(id, others[2].peer, true)
	}
	again.ignored(id, others[1].peer)
	for _, p := range again.peers {
		p.state = liveness.Present
	}
	again.groups[id].mine = false
	if known, ask := again.roll(id).knows, again.ignorant(id); known != 1 || len(ask) != len(others)-1 || slices.Contains(ask, others[2].peer) {
		t.Errorf("known to %d, and %d are to be asked", known, len(ask))
	}
}

// A damaged note is as no note: the clocks begin anew, and nobody is gone.
func TestDamagedNotes(t *testing.T) {
	w := newWorld(t, 61, nil)
	o := w.newOwner().found()
	for _, k := range []uint8{note.Seats, note.Standings, note.Nominated} {
		if err := w.store.PutFact(t.Context(), storage.Fact{Group: o.id, Kind: k, Bytes: []byte("rubbish")}); err != nil {
			t.Fatal(err)
		}
	}
	w.restart()
	for _, h := range w.node.neighbours.holders(o.id) {
		if !h.member || h.state != liveness.Present {
			t.Errorf("slot %d: %+v", h.slot, h)
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
		if _, own, ok := w.node.neighbours.slotsOf(o.id); !ok || own != ownSlot || len(w.node.neighbours.members(o.id)) != 1+profile.N {
			t.Errorf("slot %d, %d members", own, len(w.node.neighbours.members(o.id)))
		}
		w.restart()
	}
}

// BenchmarkBeatsOfADay is what a virtual day costs a node with 1,000 groups and
// 10,000 neighbours, the network apart.
func BenchmarkBeatsOfADay(b *testing.B) {
	h := newView(1000, protocol.Profile{K: 20, R: 36, N: 56}, 10_000)
	var mono time.Duration
	h.mono = func() time.Duration { return mono }
	h.now = func() time.Time { return epoch.Add(mono) }
	u := func() float64 { return 0.5 }
	reply := &protocol.Beat{Clock: epoch.Unix()}
	b.ReportMetric(float64(len(h.peers)), "neighbours")
	for b.Loop() {
		asked := 0
		for end := mono + 24*time.Hour; mono < end; mono += time.Minute {
			due, _ := h.beatsDue(u)
			for _, id := range due {
				h.answered(id)
				h.beaten(id, reply)
				h.beatDone(id, 0.5)
				asked++
			}
			if mono%time.Hour == 0 {
				if _, err := h.unsaved(); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(asked), "beats")
	}
}
