package integration

import (
	"testing"
	"time"
)

const year = 365 * day

// The wall clocks of four machines are set wrong, by hours and by years, while
// another owner puts a file, and are put right. Then the machines restart with
// wrong clocks that are put right, as machines do that keep no time while they are
// off. No lease ends, also when nodes trust the clocks again, and all members
// agree.
func TestClocksJump(t *testing.T) {
	lengthy(t)
	disturb(t, 14, 20, 2, small, func(t *testing.T, a *adverse) {
		wrong := a.someOf(4, a.up())
		who := ids(wrong)
		set := func(right bool) {
			for i, by := range []time.Duration{3 * time.Hour, -3 * time.Hour, 2 * year, -2 * year} {
				if right {
					by = 0
				}
				a.clocks.step(who[i], by)
			}
		}
		set(false)
		a.links = append(a.links, a.store(len(a.links), small))
		a.seated = a.shards()
		a.pass(twoBeats)
		a.agree("with wrong clocks")
		a.pass(2 * day)
		a.unmoved("with wrong clocks")
		set(true)
		a.pass(twoBeats)
		a.agree("put right")
		for _, m := range wrong {
			a.end(m)
		}
		set(false)
		a.pass(time.Hour)
		for _, m := range wrong {
			a.start(m)
		}
		a.pass(2 * time.Minute)
		set(true)
		a.pass(twoBeats)
		a.agree("started with wrong clocks and put right")
		a.pass(8 * day)
		a.unmoved("in the end")
		a.reads("in the end")
	})
}

// Two machines sleep for three days, as laptops do, and two for nine, so that
// all others give them up: only their wall clocks go on.
func TestMachinesSleep(t *testing.T) {
	lengthy(t)
	disturb(t, 15, 20, 3, small, func(t *testing.T, a *adverse) {
		asleep := a.someOf(4, a.up())
		for _, m := range asleep {
			a.clocks.sleep(m)
		}
		a.pass(3 * day)
		for _, m := range asleep[:2] {
			a.clocks.wake(m)
		}
		a.pass(6 * day)
		for _, m := range asleep[2:] {
			a.clocks.wake(m)
		}
		a.pass(twoBeats)
		a.agree("after two beats")
		a.pass(day)
		a.unmoved("after they woke")
	})
}
