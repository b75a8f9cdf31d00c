package main

import (
	"time"

	"github.com/spf13/cobra"

	"github.com/cairnstore/cairn/node"
)

// timingFlags change how long a node waits before it judges and repairs, for
// testnets: a network whose nodes differ in them still works.
type timingFlags struct {
	beat, absent, gone, audit, scrub time.Duration
	scale, lease                     float64
	noRepair                         bool
}

func (f *timingFlags) add(cmd *cobra.Command) {
	d := node.DefaultTiming()
	cmd.Flags().DurationVar(&f.beat, "beat-every", d.Liveness.BeatEvery, "ask each neighbour for a sign of life every `TIME`")
	cmd.Flags().DurationVar(&f.absent, "absent-after", d.Liveness.AbsentAfter, "`TIME` of silence until a neighbour is absent")
	cmd.Flags().DurationVar(&f.gone, "gone-after", d.Liveness.GoneAfter, "`TIME` of silence until it is gone, and replaced")
	cmd.Flags().DurationVar(&f.audit, "audit-every", d.Audit.Cycle, "audit each shard once in each `TIME`")
	cmd.Flags().DurationVar(&f.scrub, "scrub-every", d.ScrubEvery, "begin to read the disk over a `TIME` after the last pass")
	cmd.Flags().Float64Var(&f.scale, "time-scale", 1, "multiply these and all other such times by `FACTOR`")
	cmd.Flags().Float64Var(&f.lease, "lease-scale", 0, "multiply the times of leases by `FACTOR`; 0: as the others")
	cmd.Flags().BoolVar(&f.noRepair, "no-repair", false, "repair nothing")
	for _, name := range []string{"beat-every", "absent-after", "gone-after", "audit-every", "scrub-every", "time-scale", "lease-scale", "no-repair"} {
		_ = cmd.Flags().MarkHidden(name) // fails only for unknown flags
	}
}

// timing returns the times that the flags set.
func (f *timingFlags) timing() (node.Timing, error) {
	t := node.DefaultTiming()
	if f.scale <= 0 || f.scale > 1000 || f.lease < 0 || f.lease > 1000 {
		return t, misuse("a number above 0, such as 0.001", "--time-scale %v --lease-scale %v", f.scale, f.lease)
	}
	if f.beat <= 0 || f.audit <= 0 || f.scrub <= 0 || f.absent <= 0 || f.gone < f.absent {
		return t, misuse("times above 0, gone no sooner than absent", "--beat-every %s --audit-every %s --scrub-every %s --absent-after %s --gone-after %s", f.beat, f.audit, f.scrub, f.absent, f.gone)
	}
	t.Liveness.BeatEvery, t.Liveness.AbsentAfter, t.Liveness.GoneAfter = f.beat, f.absent, f.gone
	t.Liveness.RecentWithin = min(t.Liveness.RecentWithin, f.gone) // a peer that is gone is no sign of being cut off
	t.Liveness.MaxCutOff = min(t.Liveness.MaxCutOff, f.gone)
	t.Audit.Cycle, t.ScrubEvery = f.audit, f.scrub
	lease := t.Lease
	t = t.Scale(f.scale)
	if f.lease > 0 {
		t.Lease = lease.Scale(f.lease)
	}
	return t, nil
}
