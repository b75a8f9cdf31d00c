package integration

import (
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

// watch looks at the disks every minute until something is so, for some days
// at most, and keeps the least margin.
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

// TestDrainInMemory lets a holder leave: at no moment is the group worse off,
// nobody repairs, and it is gone within hours, not when it is missed.
func TestDrainInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLeaving(t, 11)
		before := l.traffic()
		if err := l.holder.node.Drain(); err != nil {
			t.Fatal(err)
		}
		took := l.watch(2*day, l.drained)
		p := l.holder.node.DrainProgress()
		after := l.traffic()
		t.Logf("drained within %s: %+v, margin never below %+v, %d bytes of shards sent", took, p, l.least, after.Sent-before.Sent)
		if !p.Done || l.least.now < l.profile.N-l.profile.K || len(l.holding(l.group)) != l.profile.N {
			t.Errorf("after %s: %+v; margin %+v; %d holders", took, p, l.least, len(l.holding(l.group)))
		}
		l.remove(l.holder)
		l.watch(9*day, func() bool { return false }) // whoever missed it would have repaired by now
		if l.least.now < l.profile.N-l.profile.K {
			t.Errorf("margin %+v once the holder was switched off", l.least)
		}
		if lent := l.traffic().Lent - before.Lent; lent > 0 || l.traffic().Repaired > before.Repaired {
			t.Errorf("%d shards were lent: somebody repaired", lent)
		}
		l.mustRead()
	})
}

// TestDrainKilled stops a node that leaves again and again, at first every some
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
