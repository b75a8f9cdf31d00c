package repair

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Members that see the same decide alike: a segment that needs repair is one
// living member's and nobody else's, at every turn; one that does not, nobody's.
func TestMembersDecideAlike(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := members(rapid.IntRange(1, 30).Draw(t, "members"))
		g.Day = group.Day{Number: rapid.Int64().Draw(t, "day"), Step: rapid.IntRange(0, 3).Draw(t, "step")}
		for range rapid.IntRange(0, 10).Draw(t, "dead") {
			g.Living.Remove(rapid.IntRange(0, 29).Draw(t, "one"))
		}
		holding := rapid.IntRange(0, profile.N).Draw(t, "holding")
		s := Segment{
			ID:     protocol.SegmentID{byte(rapid.Int().Draw(t, "segment"))},
			Count:  group.Count{Holding: holding, Unaudited: rapid.IntRange(0, profile.N-holding).Draw(t, "unaudited")},
			Takers: 1,
		}
		s.Count.Answering = rapid.IntRange(0, holding+s.Count.Unaudited).Draw(t, "answering")
		answers := make(map[Answer]int)
		for g.Self = range g.Keys {
			a := g.Decide(&s)
			answers[a]++
			if a == Mine && !g.Living.Has(g.Self) {
				t.Fatal("a dead member repairs")
			}
		}
		needs := group.Assess(profile, s.Count).NeedsRepair()
		switch {
		case needs && g.Living.Count() > 0 && (answers[Mine] != 1 || answers[Mine]+answers[Theirs] != len(g.Keys)):
			t.Fatalf("%+v: %v", s.Count, answers)
		case !needs && (answers[Mine]+answers[Theirs] > 0 || len(answers) != 1):
			t.Fatalf("%+v: %v", s.Count, answers)
		}
	})
}

// What is made is what is not held: made and held together are all slots, and
// urgency only ever adds.
func TestMissingIsTheRest(t *testing.T) {
	p := protocol.Profile{K: 2, R: 4, N: 6}
	rapid.Check(t, func(t *rapid.T) {
		slots := rapid.SliceOfN(rapid.Uint8Range(0, 5), 0, 12).Draw(t, "seats")
		draw := func(name string) (s group.Set) {
			for _, i := range rapid.SliceOf(rapid.IntRange(0, 11)).Draw(t, name) {
				s.Add(i)
			}
			return s
		}
		v := group.View{Gone: draw("gone"), Absent: draw("absent")}
		lacking := draw("lacking")
		tally := group.NewTally(slots, v)
		lazy, urgent := Missing(p, &tally, v, lacking, group.Lazy), Missing(p, &tally, v, lacking, group.Urgent)
		if held := tally.Slots(lacking); held.Or(lazy) != group.UpTo(p.N) || held.And(lazy).Count() != 0 {
			t.Fatalf("held %v, made %v", held, lazy)
		}
		if lazy.Without(urgent).Count() != 0 {
			t.Fatal("urgency makes less")
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	g := members(56)
	s := Segment{Count: group.Count{Holding: 9, Answering: 9}, Takers: 1}
	work := []Work{{Score: 3}, {Score: 1}, {Score: 2}}
	live, audits := liveness.DefaultSettings(), audit.DefaultSettings()
	var st liveness.Standing
	var r audit.Record
	if n := testing.AllocsPerRun(100, func() {
		var v group.View
		st.Mark(&live, &v, 7)
		r.Mark(&audits, 0, &v, 7)
		g.Living = v.Living
		g.Decide(&s)
		Plan(work, Budget{1, 1}, Budget{1, 1})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDecide(b *testing.B) {
	for name, c := range map[string]group.Count{"well": {Holding: 12, Answering: 12}, "lazy": {Holding: 9, Answering: 9}} {
		b.Run(name, func(b *testing.B) {
			g := members(14)
			g.Day.Step = 1
			s := Segment{Count: c, Takers: 5}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				s.ID[0] = byte(i)
				g.Decide(&s)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}

// One health decision from the bottom: a member's view of 30 others is made anew
// for each segment, which a node does once a pass.
func BenchmarkViewAndDecide(b *testing.B) {
	live, audits := liveness.DefaultSettings(), audit.DefaultSettings()
	p := protocol.Profile{K: 8, R: 20, N: 30}
	g := members(p.N)
	g.Profile = p
	slots := make([]uint8, p.N)
	standings, records := make([]liveness.Standing, p.N), make([]audit.Record, p.N)
	for i := range slots {
		slots[i] = uint8(i)
		standings[i] = standings[i].Answered(&live, 1, liveness.Said{})
		records[i], _ = records[i].Saw(&audits, 1, audit.OK)
	}
	b.ReportAllocs()
	for b.Loop() {
		var v group.View
		for i := range slots {
			standings[i].Mark(&live, &v, i)
			records[i].Mark(&audits, 2, &v, i)
		}
		tally := group.NewTally(slots, v)
		g.Decide(&Segment{Count: tally.Count(group.Set{}), Takers: 1})
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

func BenchmarkPlan(b *testing.B) {
	work := make([]Work, 4096)
	b.ReportAllocs()
	for b.Loop() {
		for i := range work {
			work[i] = Work{Segment: i, Score: i * 7919 % 31, Cost: Budget{4, 5}}
		}
		Plan(work, Budget{1000, 1000}, Budget{1000, 1000})
	}
}
