package node

import (
	"encoding/json"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/node/repair"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// A survey that weighs only what is special gives the same result as weighing each
// segment, whatever the holders lack, and its words follow the norm's conditions.
func TestSurvey(t *testing.T) {
	const seed, segments = 101, 40
	r := seeded(t, seed)
	for round := range 300 {
		h, id := newRegister(profile)
		v := h.Roll(id)
		for i := range v.Table.Held {
			switch r.IntN(5) {
			case 0:
				v.View.Gone.Add(i)
			case 1:
				v.View.Silent.Add(i)
			case 2:
				v.View.Unaudited.Add(i)
			}
		}
		v.View.Gone.Remove(v.Self)
		v.View.Unaudited.Remove(v.Self)
		var special []protocol.SegmentID
		for i := range r.IntN(segments) {
			s := protocol.SegmentID{byte(i), 1}
			special = append(special, s)
			for seat := range v.Table.Held {
				if r.IntN(3) == 0 {
					v.Lacks(s, seat)
				}
			}
		}
		isFalse := func(s protocol.SegmentID) bool { return s != (protocol.SegmentID{}) && s[0]%7 == 3 }
		w := &weighing{
			Roll: v, tally: group.NewTally(v.Table.Slots(), v.View), isFalse: isFalse,
			decide: repair.Group{ID: id, Profile: profile, Keys: v.Keys, Living: v.Living, Self: v.Self},
			takes:  func(slot int, _ protocol.SegmentID) bool { return slot%2 == 0 },
		}
		got, lowest := w.survey(segments, special)
		var want States
		least := profile.N
		for i := range segments {
			s, lacking := protocol.SegmentID{}, group.Set{}
			if i < len(special) {
				s, lacking = special[i], v.Lacking(special[i])
			}
			one := w.weigh(s, lacking)
			least = min(least, one.count.Holding+one.count.Unaudited)
			var state States
			state.add(one, 1)
			want.plus(state)
			if lost := one.count.Holding+one.count.Unaudited < profile.K; lost != (state.Worst() == StateBeyond) {
				t.Errorf("round %d: a segment of %+v is %s", round, one.count, state.Worst())
			}
		}
		if got != want {
			t.Errorf("round %d: %+v, one by one %+v", round, got, want)
		}
		if n := lowest.count.Holding + lowest.count.Unaudited; n != least {
			t.Errorf("round %d: the lowest has %d, not %d", round, n, least)
		}
		if sum := got.Well + got.Unclear + got.Inconsistent + got.Lazy + got.Urgent + got.Beyond; sum != segments || got.Thin > got.Lazy+got.Urgent {
			t.Errorf("round %d: %+v are %d", round, got, sum)
		}
	}
}

// Each group counts once, as its lowest segment.
func TestGroupsAreAsTheirLowest(t *testing.T) {
	var all States
	for _, s := range []States{
		{}, {Well: 3}, {Well: 2, Unclear: 1}, {Well: 2, Inconsistent: 1}, {Well: 9, Lazy: 1, Thin: 1},
		{Lazy: 4, Urgent: 1}, {Well: 9, Lazy: 1, Thin: 1, Beyond: 1},
	} {
		all.AddGroup(s)
	}
	if want := (States{Well: 1, Unclear: 1, Inconsistent: 1, Lazy: 1, Urgent: 1, Thin: 1, Beyond: 1}); all != want {
		t.Errorf("%+v", all)
	}
}

// healthOf returns how a node sees a group, and holds its status to it.
func (w *town) healthOf(i int, id protocol.GroupID) GroupHealth {
	w.t.Helper()
	h, err := w.nodes[i].GroupsHealth(w.t.Context(), HealthQuery{Prefix: id.String()[:6], Holders: true})
	if err != nil || len(h.Groups) != 1 {
		w.t.Fatalf("%+v, %v", h, err)
	}
	var groups States
	groups.AddGroup(h.Groups[0].States)
	if s := w.nodes[i].Status().Health; s.Segments != h.Groups[0].States || s.Groups != groups {
		w.t.Errorf("node %d: status says %+v, health %+v", i, s, h.Groups[0].States)
	}
	return h.Groups[0]
}

// The gauge tells what a node saw: at first nothing is proved, then all is;
// with too few left it is urgent, then beyond repair, and never well.
func TestLostGroupIsNeverWell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, profile.N)
		o, coder, c := w.founded(profile)
		for i := range 3 {
			w.putTo(c, o, coder.code(randomBytes(seeded(t, uint64(110+i)), 10_000)), 0, 1, 2, 3, 4, 5)
		}
		c.Close()
		if h := w.healthOf(0, o.id); h.State != StateUnclear || h.Proved != 1 || h.Unproved != 5 || h.Segments != 3 {
			t.Errorf("before any audit: %+v", h)
		}
		time.Sleep(2 * day)
		h := w.healthOf(0, o.id)
		if h.State != StateWell || h.Proved != 6 || h.Reachable != 6 || h.Domains != 6 || !h.Readable || h.AfterWorst5 != 1 || h.Answering != 6 || h.Needed != profile.K {
			t.Errorf("after two days: %+v", h)
		}
		for _, o := range h.Holders {
			if !o.Proved || o.State != "present" || !o.Drawn || o.Lacks+o.Failed > 0 || o.Self != (o.Slot == 0) {
				t.Errorf("slot %d: %+v", o.Slot, o)
			}
		}
		for _, p := range w.peers[1:] {
			p.Stop()
		}
		seen := []string{}
		for range 21 {
			time.Sleep(day)
			h = w.healthOf(0, o.id)
			if h.Readable || h.Reachable > 1 {
				t.Errorf("one of %d needed is left: %+v", h.Needed, h)
			}
			if !slices.Contains(seen, h.State) {
				seen = append(seen, h.State)
			}
		}
		// A node that hears nobody takes itself for the one that is cut off, for a
		// week; that delays what it finds, and never makes the group look well.
		if want := []string{StateUrgent, StateBeyond}; !slices.Equal(seen, want) {
			t.Errorf("it was %v", seen)
		}
		w.close()
	})
}

// A list of many groups comes in pages, each group once.
func TestHealthInPages(t *testing.T) {
	w := newWorld(t, 120, nil)
	var want []string
	for range groupsAPage + 5 {
		o := w.newOwner().found()
		want = append(want, o.id.Prefix().String())
	}
	slices.Sort(want)
	var got []string
	for q, more := (HealthQuery{}), true; more; more = q.After != "" {
		h, err := w.node.GroupsHealth(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range h.Groups {
			if g.State != StateEmpty {
				t.Errorf("a group without segments is %s", g.State)
			}
			got = append(got, g.Group)
		}
		q.After = h.More
		if b, _ := json.Marshal(h); len(b) > 1<<19 {
			t.Errorf("a page of %d bytes", len(b))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d groups, not %d", len(got), len(want))
	}
}
