package liveness

import (
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol/group"
)

var defaults = DefaultSettings()

// silent returns a standing that was well at 0, with what it said then, and
// whose messages failed from first to last, hourly.
func silent(said Said, first, last time.Duration) Standing {
	s := Standing{}.Answered(&defaults, 0, said)
	for at := first; at < last; at += time.Hour {
		s = s.Unanswered(&defaults, at)
	}
	return s.Unanswered(&defaults, last)
}

func TestStates(t *testing.T) {
	const h, d = time.Hour, 24 * time.Hour
	for _, c := range []struct {
		name               string
		s                  Standing
		want               State
		holding, answering bool
	}{
		{"a stranger", Standing{}, Present, true, true},
		{"one message", silent(Said{}, h, h), Present, true, true},
		{"just under 4 h", silent(Said{}, h, 5*h-1), Present, true, true},
		{"4 h", silent(Said{}, h, 5*h), Present, true, false},
		{"just under a day", silent(Said{}, h, 25*h-1), Present, true, false},
		{"a day", silent(Said{}, h, 25*h), Absent, true, false},
		{"just under 7 days", silent(Said{}, h, h+7*d-1), Absent, true, false},
		{"7 days", silent(Said{}, h, h+7*d), Gone, false, false},
		{"a stranger, not heard yet", Standing{}.Unanswered(&defaults, h).Unanswered(&defaults, 25*h-1), Present, true, true},
		{"a stranger, absent", Standing{}.Unanswered(&defaults, h).Unanswered(&defaults, 25*h), Absent, true, false},
		{"a stranger, never heard", Standing{}.Unanswered(&defaults, h).Unanswered(&defaults, h+7*d), Gone, false, false},

		{"away", silent(Said{AwayFor: 10 * d}, h, 2*d), Away, true, false},
		{"away for 7 days", silent(Said{AwayFor: 10 * d}, h, h+7*d), Away, false, false},
		{"away to the end", silent(Said{AwayFor: 10 * d}, h, 10*d), Away, false, false},
		{"back too late", silent(Said{AwayFor: 10 * d}, h, 10*d+1), Absent, false, false},
		{"7 days too late", silent(Said{AwayFor: 10 * d}, h, 17*d), Gone, false, false},
		{"not yet 7 days too late", silent(Said{AwayFor: 10 * d}, h, 17*d-1), Absent, false, false},
		{"away for ever", silent(Said{AwayFor: 1 << 62}, h, 37*d), Gone, false, false},
		{"away for ever, not yet", silent(Said{AwayFor: 1 << 62}, h, 37*d-1), Absent, false, false},
		{"away in the past", silent(Said{AwayFor: -d}, h, 7*d+h), Gone, false, false},

		{"suspended, then silent", silent(Said{SuspendedFor: d}, h, d), Suspended, true, false},
		{"suspended for ever", silent(Said{SuspendedFor: 1 << 62}, h, 14*d-1), Absent, false, false},
		{"suspended for ever, and gone", silent(Said{SuspendedFor: 1 << 62}, h, 14*d), Gone, false, false},
	} {
		if got := c.s.State(&defaults); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
		if c.s.Holding(&defaults) != c.holding || c.s.Answering(&defaults) != c.answering {
			t.Errorf("%s: holding %v, answering %v", c.name, c.s.Holding(&defaults), c.s.Answering(&defaults))
		}
		back := c.s.Answered(&defaults, c.s.Latest+time.Minute, Said{})
		if back.State(&defaults) != Present || back.Silence() != 0 || !back.Holding(&defaults) {
			t.Errorf("%s: does not come back", c.name)
		}
	}
}

// A neighbour that answers every beat with "suspended" is gone when its week and the
// week after are over.
func TestSuspendedForEver(t *testing.T) {
	const d = 24 * time.Hour
	var s Standing
	for at := time.Duration(0); at <= 14*d; at += 6 * time.Hour {
		s = s.Answered(&defaults, at, Said{SuspendedFor: 7 * d})
		want := Suspended
		if at == 14*d {
			want = Gone
		}
		if got := s.State(&defaults); got != want {
			t.Fatalf("after %v: %s", at, got)
		}
		if s.Replied(&defaults, at+time.Second).Silence() < s.Silence() {
			t.Fatal("any reply cures a suspension")
		}
	}
}

// Away in turns: thirty days within half a year, whatever is claimed, and all of
// it again when half a year has passed without.
func TestAwayInTurns(t *testing.T) {
	const d = 24 * time.Hour
	var s Standing
	now := time.Duration(0)
	trip := func(days time.Duration) State {
		s = s.Answered(&defaults, now, Said{AwayFor: 365 * d})
		s = s.Unanswered(&defaults, now)
		now += days * d
		s = s.Unanswered(&defaults, now)
		return s.State(&defaults)
	}
	for i, c := range []struct {
		rest, trip time.Duration
		want       State
	}{
		{0, 20, Away}, {1, 10, Away}, {1, 6, Absent}, {1, 7, Gone}, {164, 7, Gone}, {1, 30, Away}, {1, 7, Gone},
	} {
		s = s.Answered(&defaults, now, Said{})
		now += c.rest * d
		if got := trip(c.trip); got != c.want {
			t.Errorf("trip %d: %s, not %s", i, got, c.want)
		}
	}
}

func TestMark(t *testing.T) {
	const h, d = time.Hour, 24 * time.Hour
	all := []Standing{
		{},
		silent(Said{}, h, h),
		silent(Said{}, h, 5*h),
		silent(Said{}, h, 2*d),
		silent(Said{AwayFor: 20 * d}, h, 9*d),
		silent(Said{}, h, 9*d),
		Standing{}.Answered(&defaults, h, Said{SuspendedFor: d}),
		Standing{}.Unanswered(&defaults, h),
	}
	var v group.View
	for i, s := range all {
		s.Mark(&defaults, &v, i)
	}
	set := func(of ...int) (s group.Set) {
		for _, i := range of {
			s.Add(i)
		}
		return s
	}
	want := group.View{
		Gone: set(5), Weak: set(4, 5), Absent: set(3, 4, 5), Silent: set(2, 3, 4, 5), Unheard: set(7), Living: set(1),
	}
	if v != want {
		t.Errorf("%+v", v)
	}
	// A holder that failed is not living, whichever mark comes first.
	v = group.View{Gone: set(0)}
	Standing{}.Answered(&defaults, 0, Said{}).Mark(&defaults, &v, 0)
	if v.Living.Has(0) {
		t.Error("who failed is living")
	}
}
