package liveness

import "time"

// Watch is a node's own measure of time: it runs while the process runs and the
// node is not cut off, and stands still otherwise, because what a node could not see
// proves nothing against anybody. The zero Watch is a new node's. Save it with
// the Standings that it dates: their moments mean nothing without it. Its exported
// fields are all there is to save.
//
// Three clocks go in. The monotonic one alone moves the watch. The wall clock
// only tells steps, which leases ask about: it is compared with the monotonic
// one while the process runs, and with itself over a restart.
type Watch struct {
	Now      time.Duration // this moment on the watch
	Wall     time.Time     // the wall clock when the watch was last read
	Steps    uint32        // of the wall clock, ever
	LastStep time.Duration // when the last of them was seen; meaningless while Steps is 0
	CutOff   time.Duration // for which it has stood still because the node was cut off, less what has passed since

	mono  time.Duration // the monotonic clock when the watch was last read
	drift time.Duration // of the wall clock against the monotonic one since the last step
}

// Resume begins a run of the process. mono is any monotonic clock of this run,
// wall the wall clock now. Time between two runs does not count: the watch goes
// on where it was saved. A wall clock that went back, or forward by more than MaxGap,
// counts as a step: a long rest looks the same as a wrong clock.
func (w Watch) Resume(set *Settings, mono time.Duration, wall time.Time) Watch {
	if gap := wall.Sub(w.Wall); !w.Wall.IsZero() && (gap < 0 || gap > set.MaxGap) {
		w = w.step()
	}
	w.Wall, w.mono, w.drift = wall.Round(0), mono, 0
	return w
}

// Read moves the watch on to mono, a reading of the clock that Resume was given,
// and takes notice when the wall clock has moved by more than StepOver, in one step
// or little by little. While cutOff holds the watch stands still, for MaxCutOff at
// most: after that either the world has ended or this node is wrong about it, and it
// must judge again. The time for which it may stand still comes back as slowly as it
// was used: neighbours that answer for a moment once a week must not make it stand
// still for ever. A computer's sleep stops most monotonic clocks: it counts as a
// step, and not as time. So does a stop of the process or its machine, which is
// assumed when a reading comes more than MaxGap after the last.
func (w Watch) Read(set *Settings, mono time.Duration, wall time.Time, cutOff bool) Watch {
	ran := max(mono-w.mono, 0)
	if ran > set.MaxGap { // nothing ran for so long: the process, or its machine, was stopped
		ran = 0
	}
	w.drift += wall.Round(0).Sub(w.Wall) - ran
	w.Wall, w.mono = wall.Round(0), max(mono, w.mono)
	stopped := time.Duration(0)
	if cutOff {
		stopped = min(ran, max(set.MaxCutOff-w.CutOff, 0))
		w.CutOff += stopped
	} else {
		w.CutOff = max(w.CutOff-ran, 0)
	}
	w.Now += ran - stopped
	if w.drift > set.StepOver || w.drift < -set.StepOver {
		w = w.step()
	}
	return w
}

// Excused reports whether being cut off still excuses this node from judging: it
// judges nobody while the watch stands still, and no longer than that.
func (w Watch) Excused(set *Settings) bool { return w.CutOff < set.MaxCutOff }

// Stepped reports whether the wall clock stepped within the last d on the watch.
func (w Watch) Stepped(d time.Duration) bool {
	return w.Steps > 0 && w.Now-w.LastStep < d
}

func (w Watch) step() Watch {
	w.Steps++
	w.LastStep, w.drift = w.Now, 0
	return w
}
