package contract

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/fuzz"
	"github.com/cairnstore/cairn/protocol"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	l, err := time.LoadLocation(name)
	if err != nil {
		t.Skip(err)
	}
	return l
}

func at(l *time.Location, text string) time.Time {
	v, err := time.ParseInLocation("2006-01-02 15:04", text, l)
	if err != nil {
		panic(err)
	}
	return v
}

func TestHours(t *testing.T) {
	for _, c := range []struct {
		text, written string
		share         float64
		open, shut    string // clock readings
	}{
		{"22-07", "22:00-07:00", 9. / 24, "22:00 23:59 00:00 06:59", "07:00 12:00 21:59"},
		{"1:30-6", "01:30-06:00", 4.5 / 24, "01:30 05:59", "01:29 06:00 23:00"},
		{"22-24", "22:00-00:00", 2. / 24, "22:00 23:59", "00:00 21:59"},
		{"24-6", "00:00-06:00", 6. / 24, "00:00 05:59", "06:00"},
		{"0-24", "", 1, "00:00 12:00 23:59", ""},
	} {
		h, err := ParseHours(c.text)
		if err != nil || h.String() != c.written || math.Abs(h.Share()-c.share) > 1e-9 {
			t.Errorf("%s: %v, share %v, %v", c.text, h, h.Share(), err)
		}
		for _, v := range []struct {
			times string
			open  bool
		}{{c.open, true}, {c.shut, false}} {
			for rest := v.times; rest != ""; {
				clock := rest[:5]
				rest = rest[min(6, len(rest)):]
				if now := at(time.UTC, "2026-11-26 "+clock); h.Open(now) != v.open {
					t.Errorf("%s at %s: open is %v", c.text, clock, !v.open)
				}
			}
		}
	}
	for _, text := range []string{"", "22", "22-", "-7", "22-25", "22-22", "0-0", "24-24", "24-0", "22:60-7", "24:01-7", "a-b", "22-07-08", "-1-3", "22h-7h", "+1-3"} {
		if h, err := ParseHours(text); err == nil {
			t.Errorf("%q is read as %v", text, h)
		}
	}
}

// TestHoursOpen goes through a year, minute by minute at the ends: hours begin
// again after they ended, whatever the clock on the wall does.
func TestHoursOpen(t *testing.T) {
	for _, name := range []string{"UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"} {
		l := zone(t, name)
		for _, text := range []string{"22-07", "2:30-3", "2-2:30", "0-1"} {
			h, err := ParseHours(text)
			if err != nil {
				t.Fatal(err)
			}
			for now := at(l, "2026-01-01 12:07"); now.Year() == 2026; now = now.Add(7 * time.Hour) {
				next := h.Opens(now)
				if h.Open(now) != next.Equal(now) || next.Before(now) || next.Sub(now) > 49*time.Hour {
					t.Fatalf("%s in %s at %v: opens %v", text, name, now, next)
				}
				if !h.Open(next) && next.Sub(now) != 24*time.Hour {
					t.Fatalf("%s in %s at %v: not open at %v", text, name, now, next)
				}
			}
		}
	}
}

func TestMonths(t *testing.T) {
	paris := zone(t, "Europe/Paris")
	var a Account
	charge := func(now time.Time, n int64) { a.Charge(now, Clients, n, 2*n) }
	spent := func(now time.Time) int64 { s := a.At(MonthOf(now)); return s.Of(Clients) + s.Of(Repair) }
	want := func(what string, now time.Time, n int64) {
		t.Helper()
		if got := spent(now); got != n {
			t.Errorf("%s: %d spent in %s, want %d", what, got, MonthOf(now), n)
		}
	}
	feb := at(paris, "2028-02-29 23:59") // a leap year
	charge(feb, 10)
	want("leap day", feb, 30)
	mar := feb.Add(time.Minute)
	want("a new month", mar, 0)
	charge(mar, 1)
	// The month is the donor's: in UTC it is still February.
	if MonthOf(mar) == MonthOf(mar.UTC()) {
		t.Error("the month is not that of the donor's zone")
	}
	// A clock that steps back and forth finds what it left.
	want("stepped back", feb, 30)
	charge(feb, 1)
	want("stepped back", feb, 33)
	want("stepped forth", mar, 3)
	charge(at(paris, "2031-07-01 00:00"), 5) // far ahead, by mistake
	want("back from far ahead", mar, 3)
	want("back from far ahead", feb, 33)
	// What is kept is bounded; what was used last stays.
	for i := range 3 * maxMonths {
		charge(at(paris, "1980-01-01 00:00").AddDate(0, i, 0), 1)
		charge(mar, 1)
	}
	if len(a.months) != maxMonths {
		t.Errorf("%d months are kept", len(a.months))
	}
	want("after a wild clock", mar, 3+3*3*maxMonths)
	if got := MonthOf(feb).String(); got != "2028-02" {
		t.Error(got)
	}
}

func TestLeft(t *testing.T) {
	const gb = 1e9
	terms := Terms{Month: 100 * gb}
	for _, c := range []struct {
		clients, repair          int64 // spent
		leftClients, leftRepair_ int64
	}{
		{0, 0, 50 * gb, 100 * gb},
		{20 * gb, 0, 30 * gb, 80 * gb},
		{50 * gb, 0, 0, 50 * gb},
		{60 * gb, 0, 0, 40 * gb}, // what was under way may end
		{0, 70 * gb, 30 * gb, 30 * gb},
		{10 * gb, 95 * gb, 0, 0},
	} {
		var s Spent
		s.Up[Clients], s.Down[Repair] = c.clients, c.repair
		if a, b := terms.Left(s, Clients), terms.Left(s, Repair); a != c.leftClients || b != c.leftRepair_ {
			t.Errorf("%+v: left %d and %d", c, a, b)
		}
		if (Terms{}).Left(s, Clients) != math.MaxInt64 {
			t.Error("no limit is one")
		}
	}
}

func TestBears(t *testing.T) {
	const tb = 1e12
	night, _ := ParseHours("22-07")
	for _, c := range []struct {
		terms Terms
		low   float64 // TB
		high  float64
	}{
		{Terms{Up: 10e6 / 8}, 2.8, 3.1}, // the plan: 10 Mbit/s allow 3 TB
		{Terms{Up: 10e6 / 8, Down: 100e6 / 8}, 2.8, 3.1},
		{Terms{Down: 10e6 / 8}, 2.8, 3.1},
		{Terms{Up: 10e6 / 8, Hours: night}, 1.0, 1.2},
		{Terms{Month: 500e9}, 1.0, 1.2},
		{Terms{Up: 10e6 / 8, Month: 500e9}, 1.0, 1.2},
		{Terms{Up: LeastRate}, 0.1, 0.13},
	} {
		if got := float64(c.terms.Bears()) / tb; got < c.low || got > c.high {
			t.Errorf("%+v bears %.2f TB, want %v to %v", c.terms, got, c.low, c.high)
		}
	}
	for _, free := range []Terms{{}, {Hours: night}, {Up: math.MaxInt64, Month: math.MaxInt64}} {
		if free.Bears() < 1<<60 {
			t.Errorf("%+v bears %d", free, free.Bears())
		}
	}
}

func TestCheck(t *testing.T) {
	for _, bad := range []Terms{{Up: 1}, {Down: LeastRate - 1}, {Up: -1}, {Month: -1}, {Hours: Hours{-1, 3}}, {Hours: Hours{0, dayMinutes}}} {
		if bad.Check() == nil {
			t.Errorf("%+v passes", bad)
		}
	}
	for _, good := range []Terms{{}, {Up: LeastRate, Down: LeastRate, Month: 1, Hours: Hours{1, 2}}} {
		if err := good.Check(); err != nil {
			t.Errorf("%+v: %v", good, err)
		}
	}
}

func TestReads(t *testing.T) {
	noon := at(time.UTC, "2027-12-31 12:00")
	var r Reads[string]
	for i, c := range []struct {
		seg  string
		n    int64
		now  time.Time
		want bool
	}{
		{"viral", 60, noon, true},
		{"viral", 60, noon, false}, // and not counted
		{"viral", 40, noon, true},
		{"viral", 1, noon, false},
		{"other", 100, noon, true},
		{"viral", 100, noon.Add(12 * time.Hour), true}, // the next day, and year
		{"viral", 1, noon.Add(13 * time.Hour), false},
	} {
		if got := r.Take(c.seg, c.n, 100, c.now); got != c.want {
			t.Errorf("%d: %v", i, got)
		}
	}
	if !r.Take("viral", math.MaxInt64, 0, noon) {
		t.Error("no bound is one")
	}
	var many Reads[int]
	many.Take(-1, 90, 100, noon)
	for i := range 3 * maxReads {
		many.Take(i, 1, 100, noon)
		if len(many.read) > maxReads {
			t.Fatalf("%d segments are kept", len(many.read))
		}
	}
	if many.Take(-1, 11, 100, noon) {
		t.Error("what was read most is forgotten")
	}
}

func TestReadsADay(t *testing.T) {
	night, _ := ParseHours("22-07")
	for _, c := range []struct {
		terms Terms
		want  int64
	}{
		{Terms{}, 0},
		{Terms{Down: 1 << 20, Hours: night}, 0},
		{Terms{Month: 6000e9}, 25e9},                        // a quarter of 100 GB a day
		{Terms{Up: 10e6}, 10e6 / 2 * 24 * 3600 / 4},         // of what half the rate carries
		{Terms{Up: 10e6, Month: 6000e9}, 25e9},              // the lesser
		{Terms{Up: 10e6, Hours: night}, 10e6 / 2 * 9 * 900}, // in those hours
		{Terms{Month: 1e9}, readsLeast}, {Terms{Month: 1}, readsLeast},
	} {
		if got := c.terms.ReadsADay(); got != c.want {
			t.Errorf("%+v: %d, want %d", c.terms, got, c.want)
		}
	}
}

const day = 24 * time.Hour

func TestAway(t *testing.T) {
	start := at(time.UTC, "2027-01-01 00:00")
	var s Stance
	leave := func(after, long time.Duration) error {
		t.Helper()
		next, err := s.Leave(start.Add(after), long)
		if err == nil {
			s = next
		}
		return err
	}
	for _, c := range []struct {
		after, long time.Duration
		left        time.Duration // -1: it is granted
	}{
		{0, 31 * day, 30 * day},
		{0, 14 * day, -1},
		{7 * day, 24 * day, 23 * day}, // a week is gone
		{7 * day, 7 * day, -1},
		{8 * day, 0, -1}, // back after a day of it
		{20 * day, 22 * day, -1},
		{42 * day, time.Second, 0}, // 8 + 22 are all
		{100 * day, time.Second, 0},
		{100 * day, 0, -1},
		{178 * day, 3 * day, 1 * day}, // of January's first days one has lapsed when it ends
		{188 * day, 8 * day, -1},
	} {
		err := leave(c.after, c.long)
		var long *TooLongAwayError
		switch {
		case c.left < 0 && err != nil:
			t.Errorf("after %v for %v: %v", c.after, c.long, err)
		case c.left >= 0 && !errors.As(err, &long):
			t.Errorf("after %v for %v: granted, %v", c.after, c.long, s.Away)
		case c.left >= 0 && long.Left != c.left:
			t.Errorf("after %v for %v: %v left, want %v", c.after, c.long, long.Left, c.left)
		}
	}
	if got := s.AwayUntil(start.Add(190 * day)); got != start.Add(196*day).Unix() {
		t.Errorf("away until %v", time.Unix(got, 0).UTC())
	}
	if s.AwayUntil(start.Add(196*day)) != 0 {
		t.Error("away after the end")
	}
	if _, err := s.Leave(start, -1); err == nil {
		t.Error("backwards is granted")
	}
	// Many short ones are bounded, and still count.
	for i := range 500 {
		at := 400*day + time.Duration(i)*time.Hour
		if err := leave(at, 30*time.Minute); err != nil {
			break
		}
		if len(s.Away) > maxSpans {
			t.Fatalf("%d absences are kept", len(s.Away))
		}
	}
}

func TestPaused(t *testing.T) {
	now := at(time.UTC, "2027-01-01 00:00")
	s := Stance{PausedUntil: now.Add(protocol.MaxSuspended).Unix()}
	if s.Paused(now) == 0 || s.Paused(now.Add(protocol.MaxSuspended)) != 0 {
		t.Error("a pause is not what it should be")
	}
	if s.Paused(now.Add(-time.Hour)) != 0 {
		t.Error("a clock set back makes a pause longer than it may be")
	}
}

func TestWhy(t *testing.T) {
	noon := at(time.UTC, "2027-01-31 12:00")
	night, _ := ParseHours("22-07")
	all := []DeedKind{NewGroup, Store, Give, Fetch}
	stances := map[string]Stance{
		"draining": {Drain: &Drain{Since: 1}}, "paused": {PausedUntil: noon.Unix() + 10}, "away": {Away: []Span{{1, noon.Unix() + 10}}},
	}
	for _, c := range []struct {
		stance string
		terms  Terms
		deed   Deed
		want   Refusal
		until  time.Time
	}{
		{"", Terms{}, Deed{Bytes: math.MaxInt64}, None, time.Time{}},
		{"draining", Terms{}, Deed{Kind: NewGroup}, Draining, time.Time{}},
		{"draining", Terms{}, Deed{Kind: Store, Class: Repair, Urgent: true}, Draining, time.Time{}},
		{"draining", Terms{}, Deed{Kind: Give}, None, time.Time{}},
		{"paused", Terms{}, Deed{Kind: Give}, Paused, noon.Add(10 * time.Second)},
		{"paused", Terms{}, Deed{Kind: Give, Class: Repair, Urgent: true}, Paused, noon.Add(10 * time.Second)},
		{"away", Terms{}, Deed{Kind: NewGroup}, Away, noon.Add(10 * time.Second)},
		{"away", Terms{}, Deed{Kind: Store}, None, time.Time{}},
		{"", Terms{Hours: night}, Deed{Kind: Give}, OutOfHour, noon.Add(10 * time.Hour)},
		{"", Terms{Hours: night}, Deed{Kind: Give, Urgent: true}, OutOfHour, noon.Add(10 * time.Hour)}, // clients have no danger
		{"", Terms{Hours: night}, Deed{Kind: Fetch, Class: Repair}, OutOfHour, noon.Add(10 * time.Hour)},
		{"", Terms{Hours: night}, Deed{Kind: Fetch, Class: Repair, Urgent: true}, None, time.Time{}},
		{"", Terms{Hours: night}, Deed{Kind: Give, Class: Repair}, None, time.Time{}},
		{"", Terms{Hours: night}, Deed{Kind: Store, Class: Repair}, None, time.Time{}},
		{"", Terms{Month: 100}, Deed{Kind: Give, Bytes: 51}, Exhausted, at(time.UTC, "2027-02-01 00:00")},
		{"", Terms{Month: 100}, Deed{Kind: Give, Bytes: 50}, None, time.Time{}},
		{"", Terms{Month: 100}, Deed{Kind: Give, Bytes: 100, Class: Repair}, None, time.Time{}},
		{"", Terms{Month: 100}, Deed{Kind: Give, Bytes: 101, Class: Repair, Urgent: true}, Exhausted, at(time.UTC, "2027-02-01 00:00")},
	} {
		s := stances[c.stance]
		got, until := Why(c.terms, &s, new(Account), c.deed, noon)
		if got != c.want || !until.Equal(c.until) {
			t.Errorf("%+v: %v until %v", c, got, until)
		}
	}
	for _, k := range all {
		if got, _ := Why(Terms{}, new(Stance), new(Account), Deed{Kind: k, Bytes: math.MaxInt64}, noon); got != None {
			t.Errorf("without terms %v is refused", k)
		}
	}
}

func sample() *State {
	s := &State{Stance: Stance{Away: []Span{{1, 2}, {5, 9}}, PausedUntil: 7, Drain: &Drain{3, 4, 5}}}
	s.Account.Charge(time.Unix(1e9, 0).UTC(), Clients, 1, 2)
	s.Account.Charge(time.Unix(2e9, 0).UTC(), Repair, 3, 4)
	return s
}

func FuzzState(f *testing.F) {
	for _, s := range []*State{sample(), {}} {
		b, err := s.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	fuzz.Run(f, func(t *fuzz.T, b []byte) {
		var s *State
		var err error
		t.Frugal(uint64(1<<20+64*len(b)), func() { s, err = Parse(b) })
		if err != nil {
			return
		}
		t.Accepted()
		again, err := s.Encode()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%x is written as %x, %v", b, again, err)
		}
		now := time.Unix(1e9, 0)
		if next, err := s.Stance.Leave(now, day); err == nil && next.AwayUntil(now) == 0 {
			t.Error("away, and not away")
		}
		s.Account.Charge(now, Clients, 1, 1)
		Why(Terms{Month: 1}, &s.Stance, &s.Account, Deed{}, now)
	})
}

func TestStateSize(t *testing.T) {
	s := sample()
	for i := range maxSpans {
		s.Stance.Away = append(s.Stance.Away[:min(i, maxSpans-1)], Span{1 << 40, 1 << 41})
	}
	for i := range maxMonths {
		s.Account.Charge(time.Unix(1e9, 0).UTC().AddDate(0, i, 0), Repair, 1<<50, 1<<50)
	}
	if b, err := s.Encode(); err != nil || len(b) > 8<<10 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}
