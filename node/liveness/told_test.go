package liveness

import (
	"testing"
	"time"
)

// A neighbour that beats and never answers is gone like any other; one that says
// that it goes, and goes, is away.
func TestToldIsNoAnswer(t *testing.T) {
	const h, d = time.Hour, 24 * time.Hour
	s := Standing{}.Answered(&defaults, 0, Said{})
	for at := h; at <= h+7*d; at += h {
		s = s.Unanswered(&defaults, at).Told(&defaults, at, Said{AwayFor: 30 * d})
	}
	if got := s.State(&defaults); got != Gone {
		t.Errorf("speaks and never answers: %s", got)
	}
	s = Standing{}.Answered(&defaults, 0, Said{}).Told(&defaults, h, Said{AwayFor: 10 * d})
	s = s.Unanswered(&defaults, 2*h).Unanswered(&defaults, 8*d)
	if got := s.State(&defaults); got != Away {
		t.Errorf("said that it goes: %s", got)
	}
}
