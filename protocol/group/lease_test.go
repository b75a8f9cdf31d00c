package group

import (
	"testing"
	"time"
)

var leases = DefaultLeaseSettings()

func TestLeaseState(t *testing.T) {
	const d = 86400
	born := time.Unix(1_800_000_000, 0)
	on := func(days float64) time.Time { return born.Add(time.Duration(days * float64(day))) }
	renewed := func(l Lease, dates ...float64) Lease {
		for _, at := range dates {
			var ok bool
			if l, ok = l.Renewed(&leases, on(at).Unix(), on(at)); !ok {
				t.Fatalf("a renewal of day %v is refused on that day", at)
			}
		}
		return l
	}
	short, long := renewed(NewLease(born, false), 0), renewed(NewLease(born, false), 0, 30)
	const s = 1.0 / d // a second in days
	for _, c := range []struct {
		name        string
		l           Lease
		own, median float64
		want        LeaseState
	}{
		{"first", short, 60 - s, 60 - s, Alive},
		{"first ends", short, 60, 60, Frozen},
		{"first, almost expired", short, 151 - s, 151, Frozen},
		{"first, expired", short, 151, 151, Expired},
		{"renewed too soon to be long", renewed(short, 30-s), 90, 90, Frozen},
		{"renewed", long, 395 - s, 395, Alive},
		{"renewed, ends", long, 395, 395, Frozen},
		{"renewed, expired", long, 486, 486, Expired},
		{"own clock years ahead", long, 4000, 31, Alive},
		{"neighbours' clocks years ahead", long, 31, 4000, Alive},
		{"own clock ahead of a frozen one", long, 4000, 400, Frozen},
		{"own clock years behind", long, -9000, 500, Alive},
		{"joined", renewed(NewLease(on(100), true), 30), 394, 394, Alive},
		{"joined, no renewal", NewLease(on(100), true), 160, 160, Frozen},
		{"joined, no renewal ever", NewLease(on(100), true), 251, 251, Expired},
		{"no renewal", NewLease(born, false), 60 - s, 60, Alive},
	} {
		clocks := Clocks{Own: on(c.own), Median: on(c.median)}
		if got := c.l.State(&leases, clocks); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
		clocks.Stepped = true
		if got := c.l.State(&leases, clocks); got != min(c.want, Frozen) {
			t.Errorf("%s, after a step: %s", c.name, got)
		}
		clocks.Stepped, clocks.Median = false, time.Time{}
		if got := c.l.State(&leases, clocks); got == Expired {
			t.Errorf("%s, without neighbours: %s", c.name, got)
		}
	}
}

func TestRenewed(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := NewLease(now, false)
	if got, ok := l.Renewed(&leases, now.Unix()+86400, now); !ok || got.Last != now.Unix()+86400 {
		t.Error("a day ahead has to wait")
	}
	if got, ok := l.Renewed(&leases, now.Unix()+86401, now); ok || got != l {
		t.Error("more than a day ahead does not wait")
	}
	l, _ = l.Renewed(&leases, now.Unix(), now)
	if got, ok := l.Renewed(&leases, now.Unix()-1000*86400, now); !ok || got != l {
		t.Errorf("an old one changes the lease to %+v", got)
	}
	// Dated back or ahead: the date alone does not make a lease long.
	dated, _ := NewLease(now, false).Renewed(&leases, now.Unix()-300*86400, now)
	dated, _ = dated.Renewed(&leases, now.Unix()+86400, now)
	if dated.Long {
		t.Error("a lease is long by dates alone")
	}
	// A clock that was years ahead when the group came, and was put right.
	wrong := NewLease(now.AddDate(30, 0, 0), false)
	wrong, _ = wrong.Renewed(&leases, now.Unix(), now)
	if wrong, _ = wrong.Renewed(&leases, now.Unix()+30*86400, now.Add(30*day)); !wrong.Long {
		t.Error("a clock that was wrong once keeps a lease short for ever")
	}
	if got, _ := l.Renewed(&leases, 1<<53-1, time.Unix(1<<53-1, 0)); got.End(&leases) <= 1<<53-1 {
		t.Error("the end of time overflows")
	}
}

func TestMedianOffset(t *testing.T) {
	for _, c := range []struct {
		offsets []int64
		want    int64
		ok      bool
	}{
		{nil, 0, false}, {[]int64{7}, 7, true}, {[]int64{9, 5}, 5, true}, {[]int64{1 << 53, 5, -(1 << 53)}, 5, true},
	} {
		if got, ok := MedianOffset(c.offsets); got != c.want || ok != c.ok {
			t.Errorf("%v: %d, %v", c.offsets, got, ok)
		}
	}
}
