package integration

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// steady is a network of machines that are never switched off.
func steady(seed uint64, nodes int) churn {
	return calm(churn{seed: seed, nodes: nodes, up: 10 * 365 * day, down: time.Hour})
}

// TestMendingInMemory takes n−r holders of a group away, with the owner gone:
// the members fill the slots with newcomers, make the shards again and let them
// in; then a stranger reads the file.
func TestMendingInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := protocol.Profile{K: 4, R: 9, N: 14}
		w := newMoving(t, steady(7, 20))
		link := w.store(1, p)
		for wave := range env("CAIRN_WAVES", 1) {
			var g protocol.GroupID
			for g = range w.margins(p.K) {
				break
			}
			holders := w.holding(g)
			for _, m := range holders[:p.N-p.R] {
				w.remove(m)
			}
			for range p.N - p.R {
				w.bear()
			}
			before := w.margins(p.K)[g]
			days := w.until(15, func() bool { return w.margins(p.K)[g].now >= p.N-p.K })
			after := w.margins(p.K)[g]
			t.Logf("wave %d: margin %+v after the loss, %+v after %d days; %+v", wave, before, after, days, w.traffic())
			if after.now < p.N-p.K {
				t.Fatalf("wave %d: not mended within %d days", wave, days)
			}
			time.Sleep(3 * day) // newcomers are audited and let in
		}
		c, leave := w.client(false)
		defer leave()
		if err := w.read(c, link, content(1)); err != nil {
			t.Error(err)
		}
	})
}

// until waits for some days at most, and returns how many it took.
func (w *moving) until(days int, is func() bool) int {
	for d := range days {
		if is() {
			return d
		}
		time.Sleep(day)
	}
	return days
}
