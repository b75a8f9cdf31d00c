package liveness

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// event is what happens between a node and one neighbour.
type event struct {
	after time.Duration // since the one before
	what  int           // 0: unanswered, 1: a beat answered, 2: something else answered
	said  Said
}

var events = rapid.Custom(func(t *rapid.T) event {
	// Multiples of 64 ns, so that halving six times is exact.
	hours := func(most int64, name string) time.Duration {
		return time.Duration(rapid.Int64Range(0, most).Draw(t, name)) * time.Hour
	}
	return event{
		after: hours(200, "after"),
		what:  rapid.IntRange(0, 2).Draw(t, "what"),
		said:  Said{AwayFor: hours(1000, "away") - 500*time.Hour, SuspendedFor: hours(400, "suspended") - 300*time.Hour},
	}
})

func (s Standing) apply(set *Settings, now time.Duration, e event) Standing {
	switch e.what {
	case 0:
		return s.Unanswered(set, now)
	case 1:
		return s.Answered(set, now, e.said)
	}
	return s.Replied(set, now)
}

// A testnet whose durations are all scaled decides the same of the same events
// in scaled time.
func TestScaling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom([]float64{2, 0.5, 1.0 / 64}).Draw(t, "factor")
		scale := func(d time.Duration) time.Duration { return time.Duration(float64(d) * f) }
		other := defaults.Scale(f)
		var a, b Standing
		now := time.Duration(0)
		for _, e := range rapid.SliceOfN(events, 1, 60).Draw(t, "events") {
			now += e.after
			a = a.apply(&defaults, now, e)
			e.said = Said{scale(e.said.AwayFor), scale(e.said.SuspendedFor)}
			b = b.apply(&other, scale(now), e)
			if a.State(&defaults) != b.State(&other) || a.Holding(&defaults) != b.Holding(&other) || a.Answering(&defaults) != b.Answering(&other) {
				t.Fatalf("%+v is %s, scaled %+v is %s", a, a.State(&defaults), b, b.State(&other))
			}
			if x, y := Interval(&defaults, a, 1234), Interval(&other, b, 1234); (scale(x) - y).Abs() > 1 {
				t.Fatalf("%v and %v", x, y)
			}
		}
	})
}

// Whatever a neighbour does and claims: it is gone only after a silence, always
// after a long one, and in any half year excused for no more than it is allowed.
func TestBounds(t *testing.T) {
	type use struct{ at, away, suspended time.Duration }
	rapid.Check(t, func(t *rapid.T) {
		var s Standing
		var uses []use
		now := time.Duration(0)
		for _, e := range rapid.SliceOfN(events, 1, 80).Draw(t, "events") {
			now += e.after
			away, suspended := s.excuses(&defaults)
			before := s
			s = s.apply(&defaults, now, e)
			silence, state := s.Silence(), s.State(&defaults)
			switch {
			case silence < defaults.GoneAfter && (state == Gone || !s.Holding(&defaults)):
				t.Fatalf("gone after %v: %+v", silence, s)
			case silence >= defaults.GoneAfter+defaults.MaxAway && state != Gone:
				t.Fatalf("%s after %v: %+v", state, silence, s)
			case silence >= defaults.GoneAfter && s.Holding(&defaults):
				t.Fatalf("a claim counts as holding: %+v", s)
			case e.what == 1 && e.said.SuspendedFor <= 0 && state != Present:
				t.Fatalf("%s after a plain answer", state)
			}
			if before.Tries > 0 && s.Tries == 0 {
				uses = append(uses, use{before.Latest, away, suspended})
			}
		}
		for i, from := range uses {
			var away, suspended time.Duration
			for _, u := range uses[i:] {
				if u.at-from.at < defaults.AwayPeriod {
					away, suspended = away+u.away, suspended+u.suspended
				}
			}
			if away > defaults.MaxAway || suspended > defaults.MaxSuspended {
				t.Fatalf("excused for %v away and %v suspended in half a year: %+v", away, suspended, uses)
			}
		}
	})
}

// Whatever wall clock and restarts do, the watch measures the time for which the
// process ran and was not cut off, not counting gaps longer than MaxGap; and it never
// goes back.
func TestWatchMeasuresRunning(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := Watch{}.Resume(&defaults, 0, epoch)
		wall := func() time.Time {
			return epoch.Add(time.Duration(rapid.Int64Range(-1<<60, 1<<60).Draw(t, "wall")))
		}
		var mono, ran time.Duration
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch step := time.Duration(rapid.Int64Range(0, int64(10*day)).Draw(t, "step")); rapid.IntRange(0, 2).Draw(t, "what") {
			case 0:
				mono = time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "mono"))
				w = w.Resume(&defaults, mono, wall())
			case 1:
				mono += step
				if step <= defaults.MaxGap {
					ran += step
				}
				w = w.Read(&defaults, mono, wall(), false)
			case 2:
				before := w.Now
				mono += step
				w = w.Read(&defaults, mono, wall(), true)
				if w.Now < before || w.CutOff > defaults.MaxCutOff {
					t.Fatalf("%+v", w)
				}
				ran += w.Now - before
			}
			if w.Now != ran {
				t.Fatalf("%v, ran %v", w.Now, ran)
			}
		}
	})
}

func TestNothingAllocates(t *testing.T) {
	var s Standing
	var w Watch
	var c Census
	if n := testing.AllocsPerRun(100, func() {
		s = s.Unanswered(&defaults, 1).Answered(&defaults, 2, Said{AwayFor: 3}).Unanswered(&defaults, 4)
		c = c.Add(Sight{}.Add(&defaults, s, 5))
		w = w.Read(&defaults, 6, epoch, c.CutOff())
		if s.State(&defaults) == Gone {
			w.Now = NextBeat(&defaults, s, 0, 10, 0.5)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkState(b *testing.B) {
	all := []Standing{{}, silent(Said{}, time.Hour, 5*time.Hour), silent(Said{AwayFor: 10 * day}, time.Hour, 9*day), silent(Said{}, time.Hour, 9*day)}
	b.ReportAllocs()
	n := 0
	for i := 0; b.Loop(); i++ {
		n += int(all[i&3].State(&defaults))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

func BenchmarkUnanswered(b *testing.B) {
	var s Standing
	b.ReportAllocs()
	for i := time.Duration(0); b.Loop(); i++ {
		s = s.Unanswered(&defaults, i)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}

// The census of a node with 1,000 neighbours.
func BenchmarkCensus(b *testing.B) {
	s := silent(Said{}, time.Hour, 5*time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		var c Census
		for range 1000 {
			c = c.Add(Sight{}.Add(&defaults, s, 6*time.Hour))
		}
		c.CutOff()
	}
}
