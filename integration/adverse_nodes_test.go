package integration

import "testing"

// One machine reaches nobody, for so long that all others give it up: it gives up
// none of them, and has its slots again as soon as it is back.
func TestIsolatedAuditor(t *testing.T) {
	lengthy(t)
	disturb(t, 16, 20, 3, small, func(t *testing.T, a *adverse) {
		alone := a.someOf(1, a.up())
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

// The disks of three machines are not there for two days.
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
