package neighbours

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// notesForFuzz returns notes as a node writes them, full of everything.
func notesForFuzz(t testing.TB) []storage.Fact {
	t.Helper()
	h := newView(1, protocol.Profile{K: 26, R: 70, N: protocol.MaxShards}, 1<<20)
	var g *seats
	for _, v := range h.groups {
		g = v
	}
	for i := range 3 * protocol.MaxShards {
		h.Ask(g.id, idFor(1<<21+i), i%protocol.MaxShards, "")
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
	list, err := h.Unsaved()
	if err != nil || len(list) != 2 {
		t.Fatalf("%d notes, %v", len(list), err)
	}
	return []storage.Fact{list[0].Fact, list[1].Fact}
}

// The fullest notes fit into the store, and read back.
func TestNotesFit(t *testing.T) {
	for _, f := range notesForFuzz(t) {
		if len(f.Bytes) > storage.MaxFact {
			t.Errorf("note of kind %#x has %d bytes", f.Kind, len(f.Bytes))
		}
		var v Survey
		v.Take(f)
		if len(v.stale) > 0 {
			t.Errorf("a note of kind %#x does not read back", f.Kind)
		}
	}
}

func TestSeats(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.IDs()[0]
	drawn := h.Holders(id)
	if len(drawn) != 5 || !h.IsMember(id, drawn[0].Peer) || h.IsMember(id, idFor(500)) || len(h.Members(id)) != 6 {
		t.Fatalf("%d seats", len(drawn))
	}
	slot, newcomer := drawn[2].Slot, idFor(500)
	if !h.Ask(id, newcomer, slot, "") || h.IsMember(id, newcomer) || !h.Sits(id, newcomer) {
		t.Error("who only asks counts")
	}
	h.Prove(id, newcomer, slot)
	if !h.IsMember(id, newcomer) || !h.IsMember(id, drawn[2].Peer) {
		t.Error("two proven holders of one slot are surplus, no harm")
	}
	h.Lose(id, drawn[2].Peer, slot, LostHanded)
	if h.IsMember(id, drawn[2].Peer) || !slices.Equal(h.TakeMoved(), []protocol.GroupID{id}) {
		t.Error("who handed over holds on")
	}
	h.Prove(id, drawn[2].Peer, slot)
	if !h.IsMember(id, drawn[2].Peer) {
		t.Error("who held the slot before may come back")
	}
	h.Ask(id, idFor(501), slot, "")
	h.Reject(id, idFor(501), slot)
	h.Ask(id, idFor(502), slot, "")
	if h.Ask(id, idFor(503), slot, ""); h.Sits(id, idFor(501)) || !h.Sits(id, idFor(503)) {
		t.Error("who was rejected makes no room")
	}
	if h.Ask(id, idFor(504), slot, "") {
		t.Error("too many may ask")
	}
	h.HeardList(id, newcomer, h.Question(id, []protocol.SegmentID{{1}, {2}}, true), map[protocol.SegmentID]bool{{1}: true, {2}: true})
	h.Got(id, newcomer, slot, protocol.SegmentID{2})
	if n := h.lacks.Total(); n != 1 {
		t.Errorf("%d segments are lacked", n)
	}
	h.Close(id)
	if len(h.peers) != 0 || h.Holders(id) != nil {
		t.Errorf("%d neighbours without a group", len(h.peers))
	}
}

// TestWhoKnowsThisNode: a peer that audited this node, or lets it in, knows it, also
// after this node's restart, and no longer once one of the two was gone or the peer
// says so. Others are asked.
func TestWhoKnowsThisNode(t *testing.T) {
	h := newView(1, profile, 100)
	id := h.IDs()[0]
	for _, p := range h.peers {
		p.standing = liveness.Standing{Heard: true}
	}
	others := h.Holders(id)
	h.Convinced(id, others[0].Peer)
	h.AnswersEntry(id, others[1].Peer, true)
	if known := h.Roll(id).Knows; known != 1 {
		t.Errorf("known to %d after one yes: that is but to be audited", known)
	}
	h.AnswersEntry(id, others[1].Peer, true)
	h.AnswersEntry(id, others[2].Peer, false)
	h.Convinced(id, others[2].Peer) // it also audits a spare, beside the slot's holder
	if g := h.groups[id]; !g.dirty || h.Roll(id).Knows != 2 {
		t.Fatalf("to be noted %v, known to %d", g.dirty, h.Roll(id).Knows)
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
	if known := again.Roll(id).Knows; known != 2 {
		t.Errorf("after a restart known to %d", known)
	}
	again.Convinced(id, others[2].Peer)
	again.doubt(again.peers[others[0].Peer])
	if known := again.Roll(id).Knows; known != 1 {
		t.Errorf("after one was gone known to %d", known)
	}
	for range 2 {
		again.AnswersEntry(id, others[2].Peer, true)
	}
	again.Ignored(id, others[1].Peer)
	for _, p := range again.peers {
		p.state = liveness.Present
	}
	again.groups[id].mine = false
	if known, ask := again.Roll(id).Knows, again.Ignorant(id); known != 1 || len(ask) != len(others)-1 || slices.Contains(ask, others[2].Peer) {
		t.Errorf("known to %d, and %d are to be asked", known, len(ask))
	}
}

// BenchmarkBeatsOfADay is what a virtual day costs a node with 1,000 groups and
// 10,000 neighbours, without the network.
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
			due, _ := h.BeatsDue(u)
			for _, id := range due {
				h.Answered(id)
				h.Beaten(id, reply)
				h.BeatDone(id, 0.5)
				asked++
			}
			if mono%time.Hour == 0 {
				if _, err := h.Unsaved(); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(asked), "beats")
	}
}
