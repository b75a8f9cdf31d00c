package protocol

import (
	"testing"
	"time"
)

func TestPace(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := NewPace[string](10, 100, 1000)
	for i := range 101 {
		if p.Take("a", 1, now) != (i < 100) {
			t.Errorf("number %d", i)
		}
	}
	if !p.Spent("a", now) || p.Spent("b", now) || !p.Take("b", 1, now) {
		t.Error("one pays for another")
	}
	if p.Take("c", 101, now) || !p.Spent("c", now) {
		t.Error("more than is allowed at once leaves something")
	}
	if a, b, x := p.Left("a", now), p.Left("b", now), p.Left("x", now); a != 0 || b != 99 || x != 100 {
		t.Errorf("%d, %d, %d are left", a, b, x)
	}
	now = now.Add(time.Second)
	if p.Spent("a", now) || !p.Take("a", 10, now) || p.Take("a", 1, now) {
		t.Error("it does not come back as it should")
	}
}

func TestPaceIsBounded(t *testing.T) {
	const most = 1000
	now := time.Unix(1_700_000_000, 0)
	p := NewPace[int](1, 2, most)
	for i := range 10 * most {
		if !p.Take(i, 2, now) || len(p.of) > most {
			t.Fatalf("name %d: %d are kept", i, len(p.of))
		}
	}
	if p.Take(-1, 1, now.Add(time.Hour)); len(p.of) > most {
		t.Errorf("%d are kept", len(p.of))
	}
}
