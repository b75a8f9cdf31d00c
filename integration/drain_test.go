package integration

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"

	cairnnode "github.com/cairnstore/cairn/node"
)

// promises keeps what donors asked of their nodes over restarts, by node.
type promises struct {
	mu sync.Mutex
	m  map[string][]byte
}

// keep adds it to what a network's nodes are started with.
func (p *promises) keep(c churn) churn {
	before := c.config
	p.m = make(map[string][]byte)
	c.config = func(cfg *cairnnode.Config) {
		before(cfg)
		id := cfg.Net.Self().String()
		cfg.Contract.Load = func() ([]byte, error) { p.mu.Lock(); defer p.mu.Unlock(); return p.m[id], nil }
		cfg.Contract.Save = func(b []byte) error { p.mu.Lock(); defer p.mu.Unlock(); p.m[id] = b; return nil }
	}
	return c
}

// leaving is a network in memory with a file of one group, of which a holder
// leaves.
type leaving struct {
	*moving
	link    protocol.Link
	group   protocol.GroupID
	profile protocol.Profile
	holder  *machine
	least   margin // seen so far
}

func newLeaving(t *testing.T, seed uint64) *leaving {
	p := protocol.Profile{K: 4, R: 9, N: 14}
	l := &leaving{moving: newMoving(t, new(promises).keep(steady(seed, 18))), profile: p}
	l.link = l.store(1, p)
	for l.group = range l.margins(p.K) {
		break
	}
	time.Sleep(2 * day) // members have audited each other
	l.holder = l.holding(l.group)[0]
	l.least = margin{1 << 30, 1 << 30}
	return l
}

// watch looks at the disks every minute until is holds or most has passed, and
// keeps the least margin.
func (l *leaving) watch(most time.Duration, is func() bool) time.Duration {
	for begun := time.Now(); ; {
		m := l.margins(l.profile.K)[l.group]
		l.least = margin{min(l.least.lasting, m.lasting), min(l.least.now, m.now)}
		if is() || time.Since(begun) > most {
			return time.Since(begun)
		}
		time.Sleep(time.Minute)
	}
}

func (l *leaving) drained() bool { return l.holder.node.DrainProgress().Done }

func (l *leaving) mustRead() {
	l.t.Helper()
	c, leave := l.client(false)
	defer leave()
	if err := l.read(c, l.link, content(1)); err != nil {
		l.t.Error(err)
	}
}

// TestDrainInMemory lets a holder leave, and later its successor, which the
// owner's table does not name: at no moment is the group worse off, nobody
// repairs, and they can leave within hours.
func TestDrainInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeaving(t, 11)
		before := l.traffic()
		for _, who := range []string{"the owner's", "its successor"} {
			held := l.holding(l.group)
			if err := l.holder.node.Drain(); err != nil {
				t.Fatal(err)
			}
			took := l.watch(2*day, l.drained)
			p := l.holder.node.DrainProgress()
			t.Logf("%s drained within %s: %+v, margin never below %+v", who, took, p, l.least)
			if now := l.holding(l.group); !p.Done || len(now) != l.profile.N {
				t.Errorf("%s after %s: %+v; %d holders", who, took, p, len(now))
			}
			l.remove(l.holder)
			l.watch(2*day, func() bool { return false })
			for _, m := range l.holding(l.group) {
				if !slices.Contains(held, m) {
					l.holder = m
				}
			}
		}
		l.watch(8*day, func() bool { return false }) // a member that missed them would have repaired by now
		if l.least.now < l.profile.N-l.profile.K {
			t.Errorf("margin %+v", l.least)
		}
		if now := l.traffic(); now.Lent > before.Lent || now.Repaired > before.Repaired {
			t.Errorf("somebody repaired: %+v", now)
		}
		for _, m := range l.holding(l.group) {
			if n := m.node.Status().Vacant; n > 0 {
				t.Errorf("node %d sees %d slots vacant", m.nr, n)
			}
		}
		l.mustRead()
	})
}

// TestDrainKilled stops a draining node again and again, at first every few
// milliseconds, then ever later: each time it goes on where it was.
func TestDrainKilled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeaving(t, 12)
		if err := l.holder.node.Drain(); err != nil {
			t.Fatal(err)
		}
		r, kills := l.rng(1<<20), 0
		for most := 20 * time.Millisecond; !l.drained() && most < 10*time.Hour; most += most / 8 {
			time.Sleep(time.Duration(r.Int64N(int64(most))))
			l.end(l.holder)
			kills++
			m := l.margins(l.profile.K)[l.group]
			l.least = margin{min(l.least.lasting, m.lasting), l.least.now}
			l.start(l.holder)
		}
		if p := l.holder.node.DrainProgress(); !p.Done || l.least.lasting < l.profile.N-l.profile.K {
			t.Errorf("after %d kills: %+v, margin %+v", kills, p, l.least)
		}
		t.Logf("%d kills", kills)
		l.remove(l.holder)
		time.Sleep(10 * day)
		if m := l.margins(l.profile.K)[l.group]; m.now < l.profile.N-l.profile.K {
			t.Errorf("margin %+v", m)
		}
		l.mustRead()
	})
}
