package contract

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// maxSpans bounds the absences that are remembered.
const maxSpans = 64

// Span is a time that a donor was, or will be, away, in Unix seconds.
type Span struct{ From, Until int64 }

// Drain says that a node is leaving: since when, and what it kept then.
type Drain struct {
	Since  int64 // Unix seconds
	Groups int
	Bytes  int64
}

// Stance is what a donor has asked of a node by a command: it outlives
// restarts. The zero value is a node that does all it can.
type Stance struct {
	Away        []Span // oldest first, the one under way last
	PausedUntil int64  // Unix seconds; 0: not paused
	Drain       *Drain // nil: it stays
}

// AwayUntil returns until when the donor is away, in Unix seconds; 0: not now.
func (s *Stance) AwayUntil(now time.Time) int64 {
	if n := len(s.Away); n > 0 && s.Away[n-1].Until > now.Unix() {
		return s.Away[n-1].Until
	}
	return 0
}

// Paused returns until when the node is paused, in Unix seconds; 0: it is not.
func (s *Stance) Paused(now time.Time) int64 {
	// A clock set back must not make it longer than it can be.
	if s.PausedUntil > now.Unix() && s.PausedUntil-now.Unix() <= int64(protocol.MaxSuspended/time.Second) {
		return s.PausedUntil
	}
	return 0
}

// TooLongAwayError says that an absence is longer than the time away that is left.
type TooLongAwayError struct {
	Left time.Duration // at least 0
}

// Error tells the bound.
func (e *TooLongAwayError) Error() string {
	return fmt.Sprintf("away at most %d days of any %d, and %s are left",
		protocol.MaxAway/(24*time.Hour), protocol.AbsencePeriod/(24*time.Hour), e.Left)
}

var errBackwards = errors.New("an absence begins now and ends later")

// Leave returns the stance with the donor away from now for a time, in place of
// an absence that is under way; 0 ends that one. It returns a *TooLongAwayError
// where the absence is longer than neighbours would believe.
func (s Stance) Leave(now time.Time, long time.Duration) (Stance, error) {
	if long < 0 {
		return s, errBackwards
	}
	from := now.Unix()
	past := slices.Clone(s.Away)
	if n := len(past); n > 0 && past[n-1].Until > from {
		past[n-1].Until = max(past[n-1].From, from)
	}
	past = prune(past, now)
	s.Away = past
	if long == 0 {
		return s, nil
	}
	until := now.Add(long)
	if left := protocol.MaxAway - absent(past, until); long > left {
		return s, &TooLongAwayError{Left: max(0, left)}
	}
	s.Away = append(past, Span{from, until.Unix()})
	return s, nil
}

// absent returns how long the spans are within the AbsencePeriod before end.
func absent(spans []Span, end time.Time) (sum time.Duration) {
	begin := end.Add(-protocol.AbsencePeriod).Unix()
	for _, v := range spans {
		if n := v.Until - max(v.From, begin); n > 0 {
			sum += time.Duration(n) * time.Second
		}
	}
	return sum
}

// prune forgets spans that no longer count, and empty ones. A span that lies in the
// future because the clock was set back still counts.
func prune(spans []Span, now time.Time) []Span {
	begin := now.Add(-protocol.AbsencePeriod).Unix()
	spans = slices.DeleteFunc(spans, func(v Span) bool { return v.Until <= begin || v.Until <= v.From })
	for len(spans) >= maxSpans { // the two oldest become one
		spans[1].From = spans[0].From
		spans = spans[1:]
	}
	return spans
}
