package main

import (
	"context"
	"fmt"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// demoTimes make a day last 43 s, so that members consider a peer gone after some
// 20 s of silence; leases keep their times, for a network that stays.
var demoTimes = []string{
	"--time-scale", "0.0005", "--beat-every", "2h", "--absent-after", "8h", "--gone-after", "12h", "--lease-scale", "1",
}

const (
	demoMending = 5 * time.Minute  // for a file to be safe again
	demoSettled = 30 * time.Second // above the point of repair that count as safe enough
	demoLook    = time.Second      // between two looks at it
)

// mend waits until members have replaced the dead holders: until the file is as safe
// as a put has to make it, or stays above the point at which they repair. Members
// make only the shards for which they have found new holders, and are content then.
func (d *demo) mend(ctx context.Context) (string, error) {
	if _, err := d.lab.AddNodes(ctx, d.fresh); err != nil {
		return "", err
	}
	begun, last := time.Now(), -1
	var above time.Time // since then the file is above the point of repair
	for {
		var h healthResult
		if err := d.ask(ctx, "watcher", &h, d.bare+"\n", "health", stdio); err != nil {
			return "", err
		}
		if h.Reachable != last && !d.app.flags.json {
			if err := d.print("   %d of %d shards are proved (%s)\n", h.Reachable, h.N, span(time.Since(begun))); err != nil {
				return "", err
			}
		}
		last = h.Reachable
		switch known := knownHolders(&h); {
		case known <= h.R:
			above = time.Time{}
		case known >= group.SafeAt(protocol.Profile{K: h.K, R: h.R, N: h.N}), !above.IsZero() && time.Since(above) > demoSettled:
			return d.survey(&h), nil
		case above.IsZero():
			above = time.Now()
		}
		if !protocol.Sleep(ctx, demoLook) {
			return "", fmt.Errorf("%d of %d shards were proved at last: %w", h.Reachable, h.N, context.Cause(ctx))
		}
	}
}

// knownHolders counts the slots whose holder proves its shard and is named by most
// members.
func knownHolders(h *healthResult) (known int) {
	for _, o := range h.Holders {
		if o.Proved && 2*o.Reported > h.N {
			known++
		}
	}
	return known
}

// survey notes which peers hold the file now.
func (d *demo) survey(h *healthResult) string {
	d.health = *h
	first := 0
	for _, o := range h.Holders {
		if o.Proved && d.first[o.Peer] {
			first++
		}
	}
	return fmt.Sprintf("%d of %d shards have holders again; %d of these were there from the start", h.Reachable, h.N, first)
}

// wave kills enough current holders to bring the group to the point at which its
// members repair, those from the start first.
func (d *demo) wave(ctx context.Context) (string, error) {
	var doomed []*launch.Node
	count := max(1, d.health.N-d.health.R)
	for _, old := range []bool{true, false} {
		for _, o := range d.health.Holders {
			if n := d.lab.Node(o.Peer); n != nil && n.Running() && d.first[o.Peer] == old && len(doomed) < count {
				doomed = append(doomed, n)
			}
		}
	}
	for _, n := range doomed {
		if err := n.Kill(); err != nil {
			return "", err
		}
	}
	d.killed = append(d.killed, doomed...)
	d.fresh = len(doomed)
	text, err := d.mend(ctx)
	return fmt.Sprintf("killed %s; %s", nodeNames(doomed), text), err
}

// getByStranger gets the file once more, in a client that knows one node, if
// possible one that holds nothing of it.
func (d *demo) getByStranger(ctx context.Context) (string, error) {
	holders := make(map[string]bool)
	for _, o := range d.health.Holders {
		holders[o.Peer] = true
	}
	d.bystander = d.pickBystander(holders)
	return d.getBack(ctx, "d", d.bare, []string{d.bystander})
}
