package liveness

import (
	"testing"
	"time"
)

func TestInterval(t *testing.T) {
	const h = time.Hour
	well := Standing{}.Answered(&defaults, 0, Said{})
	for _, c := range []struct {
		s          Standing
		neighbours int
		want       time.Duration
	}{
		{Standing{}, 0, 6 * h},
		{well, 3, 6 * h},
		{well, 1000, 6 * h},
		{well, 2000, 12 * h},
		{well, 12000, 72 * h},
		{well, 1 << 30, 72 * h},
		{silent(Said{}, h, h), 3, h},
		{silent(Said{}, h, h), 2000, 2 * h},
		{silent(Said{}, h, 200*h), 3, 72 * h},
		{well.Answered(&defaults, h, Said{SuspendedFor: h}), 3, 6 * h},
	} {
		if got := Interval(&defaults, c.s, c.neighbours); got != c.want {
			t.Errorf("%d neighbours, %d failures: %v, not %v", c.neighbours, c.s.Fails, got, c.want)
		}
	}
	for u, want := range map[float64]time.Duration{0: 4*h + 48*time.Minute, 0.5: 6 * h, 1: 7*h + 12*time.Minute} {
		if got := NextBeat(&defaults, well, h, 3, u); got != h+want {
			t.Errorf("at %v: %v", u, got)
		}
	}
}

func TestCutOff(t *testing.T) {
	const h = time.Hour
	well := Standing{}.Answered(&defaults, 0, Said{})
	down := silent(Said{}, h, 2*h)
	old := Standing{}.Answered(&defaults, 0, Said{}).Unanswered(&defaults, 169*h)
	for _, c := range []struct {
		name   string
		all    []Standing
		now    time.Duration
		cutOff bool
		probe  bool
	}{
		{"alone", nil, h, false, false},
		{"strangers that never answered", []Standing{Standing{}.Unanswered(&defaults, h)}, h, false, false},
		// A neighbour that is down is asked six times as often as one that answers:
		// so it says nothing if most messages fail, once those are known to be down.
		{"three down for long, one asked lately", []Standing{silent(Said{}, h, 5*h), silent(Said{}, h, 5*h), silent(Said{}, h, 5*h), Standing{}.Answered(&defaults, 5*h, Said{}), well, well}, 5 * h, false, false},
		{"one, down", []Standing{down}, 2 * h, true, false},
		{"half of two", []Standing{well, down}, 2 * h, false, false},
		{"one of three", []Standing{well, down, down}, 2 * h, true, false},
		{"three of three", []Standing{down, down, down}, 2 * h, true, true},
		{"long forgotten", []Standing{old, old, old, well.Answered(&defaults, 169*h, Said{})}, 169 * h, false, true},
	} {
		var n Census
		for _, s := range c.all {
			n = n.Add(Sight{}.Add(&defaults, s, c.now))
		}
		if n.CutOff() != c.cutOff || n.Probe() != c.probe {
			t.Errorf("%s: %+v: cut off %v, probe %v", c.name, n, n.CutOff(), n.Probe())
		}
	}
}

// A domain counts once, and answers if one of its peers does: a crowd behind one
// address neither cuts a node off nor makes it ask everybody, wherever it sits.
func TestCrowdIsOneDomain(t *testing.T) {
	const h = time.Hour
	well := Standing{}.Answered(&defaults, h, Said{})
	down := silent(Said{}, h, 2*h)
	crowd := func(of ...Standing) (v Sight) {
		for _, s := range of {
			v = v.Add(&defaults, s, 2*h)
		}
		return v
	}
	for _, c := range []struct {
		name    string
		domains []Sight
		cutOff  bool
		probe   bool
	}{
		{"a crowd beside two", []Sight{crowd(down, down, down, down, down), crowd(well), crowd(well)}, false, false},
		{"a crowd around one", []Sight{crowd(down, down, well, down, down)}, false, false},
		{"a crowd alone", []Sight{crowd(down, down, down)}, true, true},
		{"two alone", []Sight{crowd(down, down)}, true, false},
		{"three domains of four", []Sight{crowd(down, down), crowd(down), crowd(down), crowd(well, down)}, true, true},
	} {
		var n Census
		for _, v := range c.domains {
			n = n.Add(v)
		}
		if n.CutOff() != c.cutOff || n.Probe() != c.probe {
			t.Errorf("%s: %+v: cut off %v, probe %v", c.name, n, n.CutOff(), n.Probe())
		}
	}
}

// A probe asks each neighbour that has not shown within the hour that this node
// reaches it, and none twice.
func TestProbed(t *testing.T) {
	set := DefaultSettings()
	now := 10 * time.Hour
	heard := func(ago time.Duration) Standing { return Standing{}.Answered(&set, now-ago, Said{}) }
	for name, c := range map[string]struct {
		s    Standing
		want bool
	}{
		"never heard":    {Standing{}, true},
		"long ago":       {heard(2 * time.Hour), true},
		"just now":       {heard(time.Minute), false},
		"did not answer": {heard(2*time.Hour).Unanswered(&set, now), false},
	} {
		if got := Probed(&set, c.s, now); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
