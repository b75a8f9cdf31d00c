package neighbours

import (
	"testing"
	"time"
)

// Whatever is planned anew, taken out or forgotten, the one that has been due for
// the longest comes first, and nobody twice.
func TestBeatQueue(t *testing.T) {
	h := newView(1, profile, peersSeen)
	r := seeded(t, 93)
	var all []*neighbour
	for _, p := range h.peers {
		all = append(all, p)
	}
	gone := make(map[*neighbour]bool)
	for range 20_000 {
		p := all[r.IntN(len(all))]
		switch r.IntN(4) {
		case 0, 1:
			if !gone[p] {
				h.plan(p, time.Duration(r.IntN(1000)))
			}
		case 2:
			now := time.Duration(r.IntN(1000))
			first := longestDue(all, now)
			q := h.nextDue(now)
			if (q == nil) != (first == nil) || q != nil && q.next != first.next {
				t.Fatalf("took %v, not %v", q, first)
			}
			if q != nil {
				q.busy = true
			}
		case 3:
			if p.busy && !gone[p] {
				p.busy = false
				h.plan(p, time.Duration(r.IntN(1000)))
			} else if r.IntN(200) == 0 {
				h.unplan(p)
				gone[p] = true
			}
		}
	}
	if len(gone) == 0 {
		t.Error("nobody was forgotten")
	}
}

// longestDue looks at all.
func longestDue(all []*neighbour, now time.Duration) (first *neighbour) {
	for _, p := range all {
		if p.queued >= 0 && p.next <= now && (first == nil || p.next < first.next) {
			first = p
		}
	}
	return first
}
