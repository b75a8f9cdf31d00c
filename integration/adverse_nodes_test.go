package integration

import (
	"testing"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// One machine reaches nobody, for so long that all others give it up: it gives up
// none of them, and has its slots again as soon as it is back.
func TestIsolatedAuditor(t *testing.T) {
	lengthy(t)
	disturb(t, 16, 20, 3, small, func(t *testing.T, a *adverse) {
		alone := a.someOf(1, a.holding(a.groupOf(0)))
		a.net.Partition(ids(alone))
		a.pass(6 * day)
		if !alone[0].node.Status().CutOff {
			t.Error("it does not notice")
		}
		a.pass(4 * day)
		a.unmoved("while one is alone")
		a.net.Heal()
		a.pass(twoBeats)
		a.agree("after two beats")
		a.pass(2 * day)
		a.unmoved("after healing")
	})
}

// The disks of three machines are missing for two days.
func TestUnmountedDisks(t *testing.T) {
	disturb(t, 17, 20, 3, small, func(t *testing.T, a *adverse) {
		without := a.someOf(3, a.up())
		for _, m := range without {
			m.store.Unmount(true)
		}
		a.pass(2 * day)
		a.reads("without three disks")
		for _, m := range without {
			m.store.Unmount(false)
		}
		a.pass(twoBeats)
		a.agree("after two beats")
		a.pass(2 * day)
		a.unmoved("with all disks")
	})
}

// Fifteen percent of the machines leave for ever at the same time, all of them
// holders of one group that has just one holder more than the number at which it is
// repaired. Nothing is lost; within two days enough slots answer again that repair
// is not urgent, and after the week of silence it has more than r holders again.
func TestBurst(t *testing.T) {
	lengthy(t)
	disturb(t, 18, 60, 2, wide, func(t *testing.T, a *adverse) {
		worst := a.groupOf(0)
		nine := func() {
			for _, m := range a.holding(worst)[:9] {
				a.remove(m)
			}
			t.Logf("%s: %+v", a, a.margins(wide.K)[worst])
		}
		nine()
		a.pass(9 * day)
		a.unmoved("one above the threshold")
		nine()
		a.reads("after the burst")
		a.pass(2 * day)
		t.Logf("%+v after two days, %d bytes moved in the worst hour", a.margins(wide.K)[worst], a.peak)
		if m := a.margins(wide.K)[worst]; m.now < group.UrgentBelow(wide)-wide.K {
			t.Errorf("group %s is at %+v after two days", worst.Prefix(), m)
		}
		a.pass(12 * day)
		if m := a.margins(wide.K)[worst]; m.now <= wide.R-wide.K {
			t.Errorf("group %s is at %+v after two weeks", worst.Prefix(), m)
		}
		a.reads("after mending")
	})
}

// groupOf returns the group of the i-th file.
func (a *adverse) groupOf(i int) (g protocol.GroupID) {
	for at := range a.seated {
		if at.group.Prefix() == a.links[i].Home {
			return at.group
		}
	}
	a.t.Fatalf("file %d has no group", i)
	return g
}

// wide is the profile of networks of 34 nodes or more.
var wide = protocol.Profile{K: 8, R: 20, N: 30}
