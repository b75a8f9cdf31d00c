package contract

import (
	"fmt"
	"slices"
	"time"
)

// Month is a calendar month: its year times 12, and its place in the year
// from 0.
type Month int

// MonthOf returns the month of a time, in that time's location.
func MonthOf(t time.Time) Month { return Month(t.Year()*12 + int(t.Month()) - 1) }

// String writes it as 2026-11.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", int(m)/12, int(m)%12+1) }

// Spent is what crossed the line in one month, in bytes by class.
type Spent struct {
	Month    Month
	Up, Down [Classes]int64
}

// Of returns the bytes of a class, both ways together.
func (s Spent) Of(c Class) int64 { return s.Up[c] + s.Down[c] }

// maxMonths bounds the months that an Account remembers.
const maxMonths = 6

// Account counts what crosses the line. Each calendar month has a count of its
// own: when a clock steps into another month and back, the count is as it was
// left. The zero value has counted nothing.
type Account struct {
	months []Spent // the one charged last is last
}

// Charge counts bytes of a class at a time.
func (a *Account) Charge(now time.Time, c Class, up, down int64) {
	s := a.enter(MonthOf(now))
	s.Up[c] += up
	s.Down[c] += down
}

// enter makes a month the last one. Where there are too many, it forgets the one
// charged longest ago.
func (a *Account) enter(m Month) *Spent {
	last := len(a.months) - 1
	if last >= 0 && a.months[last].Month == m {
		return &a.months[last]
	}
	s := a.At(m)
	a.months = slices.DeleteFunc(a.months, func(o Spent) bool { return o.Month == m })
	if len(a.months) == maxMonths {
		a.months = slices.Delete(a.months, 0, 1)
	}
	a.months = append(a.months, s)
	return &a.months[len(a.months)-1]
}

// At returns what was spent in a month.
func (a *Account) At(m Month) Spent {
	for _, s := range a.months {
		if s.Month == m {
			return s
		}
	}
	return Spent{Month: m}
}
