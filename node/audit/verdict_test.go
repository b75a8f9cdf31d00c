package audit

import (
	"testing"
	"time"
)

// saw applies n equal outcomes at one moment.
func saw(r Record, at time.Duration, n int, o Outcome) Record {
	for range n {
		r, _ = r.Saw(&defaults, at, o)
	}
	return r
}

func TestVerdicts(t *testing.T) {
	const d = 24 * time.Hour
	good := saw(Record{}, 0, 96, OK)
	for _, c := range []struct {
		name            string
		r               Record
		at              time.Duration
		failed, healthy bool
	}{
		{"never audited", Record{}, 0, false, false},
		{"one ok", saw(Record{}, 0, 1, OK), 0, false, true},
		{"35 days ago", saw(Record{}, 0, 1, OK), 35 * d, false, true},
		{"more than 35 days ago", saw(Record{}, 0, 1, OK), 35*d + 1, false, false},
		{"4 % missing", saw(good, 0, 4, Missing), 0, false, true},
		{"more than 4 % missing", saw(good, 0, 5, Missing), 0, true, false},
		{"more than 4 % corrupt", saw(good, 0, 5, Corrupt), 0, true, false},
		{"one of ten", saw(saw(Record{}, 0, 9, OK), 0, 1, Corrupt), 7*d - 1, false, true},
		{"one of ten, never mended", saw(saw(Record{}, 0, 9, OK), 0, 1, Corrupt), 7 * d, true, false},
		{"two of ten", saw(saw(Record{}, 0, 8, OK), 0, 2, Corrupt), 0, true, false},
		{"two of two", saw(Record{}, 0, 2, Missing), 0, true, false},
		{"offline and suspended", saw(saw(good, 0, 50, Offline), 0, 50, Suspended), 0, false, true},
		{"slow three times", saw(good, 0, 3, Slow), 0, false, true},
		{"slow twenty times", saw(good, 0, 20, Slow), 0, true, false},
		{"slow nineteen times", saw(good, 0, 19, Slow), 0, false, true},
		{"half of it self-reported", saw(good, 0, 50, Reported), 7*d - 1, false, true},
		{"half of it self-reported, never mended", saw(good, 0, 50, Reported), 7 * d, true, false},
		{"mended", saw(good, 0, 5, Missing).Mended(&defaults, d, false), d, false, true},
		{"deleted", saw(good, 0, 5, Missing).Dropped(false), d, false, true},
		{"self-reported and mended", saw(good, 0, 5, Reported).Mended(&defaults, d, true), 7 * d, false, true},
		{"mended what never failed", good.Mended(&defaults, d, true).Mended(&defaults, d, false), d, false, true},
		{"failed and readmitted", saw(good, 0, 50, Missing).Readmitted(), d, false, true},
		{"long before", saw(saw(good, 35*d, 10, OK), 70*d, 1, Missing), 70 * d, false, true},
	} {
		if c.r.Failed(&defaults, c.at) != c.failed || c.r.Healthy(&defaults, c.at) != c.healthy {
			t.Errorf("%s: failed %v, healthy %v: %+v", c.name, !c.failed, c.r.Healthy(&defaults, c.at), c.r)
		}
	}
}

func TestNext(t *testing.T) {
	for o, want := range map[Outcome]Next{OK: Done, Offline: Again, Slow: Again, Missing: Tell, Corrupt: Tell, Suspended: Again, Reported: Tell} {
		if _, got := (Record{}).Saw(&defaults, 0, o); got != want {
			t.Errorf("%s: %d", o, got)
		}
	}
	// Slow is asked again three times, from the start after an ok.
	r := saw(saw(saw(Record{}, 0, 3, Slow), 0, 1, OK), 0, 3, Slow)
	if r.Unmended != 0 {
		t.Error("three times slow counts")
	}
	if r, next := r.Saw(&defaults, 0, Slow); next != Tell || r.Unmended != 1 || r.Slow != 0 {
		t.Errorf("four times slow: %+v", r)
	}
}
