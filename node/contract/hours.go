package contract

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const dayMinutes = 24 * 60

// Hours is a part of each day, by the donor's clock on the wall. It may pass
// midnight. The zero value is the whole day.
type Hours struct {
	From, To int // minutes after midnight; To is outside
}

var errHours = errors.New("hours are FROM-TO, for instance 22-07 or 22:30-7")

// ParseHours reads hours as people write them: 22-07, 22:30-6:45, 0-24.
func ParseHours(text string) (Hours, error) {
	from, to, ok := strings.Cut(text, "-")
	if !ok {
		return Hours{}, errHours
	}
	var h Hours
	var errs [2]error
	h.From, errs[0] = parseClock(from)
	h.To, errs[1] = parseClock(to)
	switch {
	case errors.Join(errs[:]...) != nil:
		return Hours{}, errHours
	case h.From == 0 && h.To == dayMinutes:
		return Hours{}, nil
	case h.From%dayMinutes == h.To%dayMinutes:
		return Hours{}, errors.New("they begin when they end")
	}
	h.From, h.To = h.From%dayMinutes, h.To%dayMinutes
	return h, nil
}

func parseClock(text string) (minutes int, err error) {
	hour, minute, precise := strings.Cut(strings.TrimSpace(text), ":")
	if !precise {
		minute = "0"
	}
	h, err := strconv.ParseUint(hour, 10, 8)
	if err != nil {
		return 0, errHours
	}
	m, err := strconv.ParseUint(minute, 10, 8)
	if err != nil || m > 59 || h*60+m > dayMinutes {
		return 0, errHours
	}
	return int(h*60 + m), nil
}

func (h Hours) check() error {
	for _, m := range []int{h.From, h.To} {
		if m < 0 || m >= dayMinutes {
			return fmt.Errorf("hours: minute %d of a day", m)
		}
	}
	return nil
}

// always reports whether the hours are the whole day.
func (h Hours) always() bool { return h.From == h.To }

// String writes the hours as ParseHours reads them; the whole day is empty.
func (h Hours) String() string {
	if h.always() {
		return ""
	}
	return fmt.Sprintf("%02d:%02d-%02d:%02d", h.From/60, h.From%60, h.To/60, h.To%60)
}

// Share returns how much of a day the hours are, above 0 and at most 1.
func (h Hours) Share() float64 {
	if h.always() {
		return 1
	}
	return float64((h.To-h.From+dayMinutes)%dayMinutes) / dayMinutes
}

// Open reports whether a time is within the hours, as the clock on the wall
// shows it: when clocks are put forward or back, a night is shorter or longer.
func (h Hours) Open(t time.Time) bool {
	m := t.Hour()*60 + t.Minute()
	switch {
	case h.always():
		return true
	case h.From < h.To:
		return h.From <= m && m < h.To
	}
	return m >= h.From || m < h.To
}

// Opens returns when the hours next begin; t itself while they last.
func (h Hours) Opens(t time.Time) time.Time {
	if h.Open(t) {
		return t
	}
	y, mon, d := t.Date()
	for day := range 3 { // a jump of the clock can swallow the beginning of one
		at := time.Date(y, mon, d+day, 0, h.From, 0, 0, t.Location())
		if !at.Before(t) && h.Open(at) {
			return at
		}
	}
	return t.Add(24 * time.Hour)
}
