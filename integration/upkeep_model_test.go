package integration

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// upkeepModel tells what repair should cost one group: holders leave for ever,
// each after an exponentially distributed time; that one has left is noticed
// verdict later; once no more than R are seen, one member makes all missing shards
// together, for which it fetches k−1 besides its own. The project's durability
// figures come from this model.
type upkeepModel struct {
	profile protocol.Profile
	life    time.Duration // mean
	verdict time.Duration // from leaving until the others act on it
}

// upkeep is what repair cost some groups, each from its first repair to its
// last.
type upkeep struct {
	shards  float64 // that repairs after the first moved: fetched and put
	months  float64 // of 30 days, of all groups together
	repairs int     // after the first
}

// monthly returns how many shards repair moved per group and month.
func (u upkeep) monthly() float64 { return u.shards / u.months }

func (u upkeep) plus(v upkeep) upkeep {
	return upkeep{u.shards + v.shards, u.months + v.months, u.repairs + v.repairs}
}

// group follows one group for a time. seen are the moments at which the others
// will know that a slot's holder has left.
func (m upkeepModel) group(within time.Duration, r *rand.Rand) (u upkeep) {
	seen := make([]time.Duration, m.profile.N)
	fill := func(slot int, now time.Duration) {
		seen[slot] = now + time.Duration(r.ExpFloat64()*float64(m.life)) + m.verdict
	}
	for slot := range seen {
		fill(slot, 0)
	}
	var first, last time.Duration
	for {
		now := nth(seen, m.profile.N-m.profile.R) // the loss that leaves r
		if now > within {
			u.months = months(last - first)
			return u
		}
		if first == 0 {
			first = now
		} else {
			u.repairs++
			u.shards += float64(m.profile.K - 1)
		}
		for slot, at := range seen {
			if at <= now {
				fill(slot, now)
				if now > first {
					u.shards++
				}
			}
		}
		last = now
	}
}

// nth returns the n-th smallest of some times, from 1.
func nth(times []time.Duration, n int) (at time.Duration) {
	for _, v := range times {
		before := 0
		for _, w := range times {
			if w < v {
				before++
			}
		}
		if before < n {
			at = max(at, v)
		}
	}
	return at
}

// run follows many groups.
func (m upkeepModel) run(groups int, within time.Duration, seed uint64) (u upkeep) {
	r := rand.New(rand.NewPCG(seed, 0))
	for range groups {
		u = u.plus(m.group(within, r))
	}
	return u
}

// steady is what a group costs a month in the long run, in closed form: n−r shards
// made and k−1 fetched in the time in which n holders become r. The last loss is
// noticed verdict later, and losses meanwhile are noticed soon after the repair.
func (m upkeepModel) steady() float64 {
	harmonic := 0.0
	for i := m.profile.R + 1; i <= m.profile.N; i++ {
		harmonic += 1 / float64(i)
	}
	// In each cycle a loss in a slot that was made again goes unnoticed for one
	// verdict; on average that lengthens the cycle by the part of slots made.
	made := float64(m.profile.N - m.profile.R)
	cycle := time.Duration(harmonic*float64(m.life) + float64(m.verdict)*made/float64(m.profile.N))
	return (made + float64(m.profile.K) - 1) / (months(cycle))
}

// TestUpkeepModel compares the model with its closed form, and with the figures
// that the profiles were chosen by: repair traffic a month as a part of what is
// stored, at an uptime of 0.9 and a monthly loss of a tenth; and how much more it
// costs to repair eagerly.
func TestUpkeepModel(t *testing.T) {
	for _, c := range []struct {
		profile protocol.Profile
		stored  float64 // of each stored byte a month
		lazier  float64 // at least, than eager repair
	}{
		{protocol.Profile{K: 8, R: 20, N: 30}, 0.185, 4},
		{protocol.Profile{K: 20, R: 36, N: 56}, 0.208, 8},
	} {
		m := upkeepModel{c.profile, tenthAMonth, 8 * day}
		long := m.run(100, 20*365*day, 1).monthly()
		if d := math.Abs(long/m.steady() - 1); d > 0.05 {
			t.Errorf("%s: %.2f shards a month, %.2f in closed form", c.profile, long, m.steady())
		}
		held := float64(c.profile.N+c.profile.R) / 2
		if got := long / held; math.Abs(got/c.stored-1) > 0.25 {
			t.Errorf("%s: %.3f of what is stored a month, not %.3f", c.profile, got, c.stored)
		}
		eager := m
		eager.profile.R = c.profile.N - 1
		if times := eager.run(20, 5*365*day, 1).monthly() / long; times < c.lazier {
			t.Errorf("%s: eager repair costs %.1f times as much", c.profile, times)
		} else {
			t.Logf("%s: %.2f shards a group and month, %.3f of what is stored; eager repair costs %.1f times as much", c.profile, long, long/held, times)
		}
	}
}

func months(d time.Duration) float64 { return float64(d) / float64(30*day) }

// tenthAMonth is the mean life of a machine of which a tenth leaves each month.
const tenthAMonth = 10 * 30 * day
