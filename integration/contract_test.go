//go:build unix

package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
)

// contractStatus is what docs/json.md promises of a node's contract.
type contractStatus struct {
	Traffic  struct{ Received, Sent int64 }
	Contract struct {
		LimitUp, LimitDown, Month, Bears int64
		Hours, AwayUntil, PausedUntil    string
		Draining                         bool
		Spent                            struct{ Up, Down, Clients, Repair, ClientsLeft int64 }
	}
}

func (p *person) contract() contractStatus {
	p.t.Helper()
	var st contractStatus
	p.ok(&st, "", "node", "status")
	return st
}

// TestContract lets a donor limit a real node, and come and go.
func TestContract(t *testing.T) {
	w := newTown(t, 0, launch.Config{})
	const rate = 400_000 // bytes a second
	node := w.addNodes(1, "--limit-up", "400kB/s", "--limit-down", "3.2Mbit/s", "--month", "500GB", "--time-scale", "0.01")[0]
	donor := &person{w, node.Home, nil}
	a, b := w.newcomer("a"), w.newcomer("b")

	path, sum := w.file("x", 3<<20)
	begun := time.Now()
	link := a.put(path).Link
	b.get(link, sum)
	took := time.Since(begun).Seconds() + 1 // one second for the burst, and for what was not used before
	st := donor.contract()
	c := st.Contract
	if c.LimitUp != rate || c.LimitDown != rate || c.Month != 500e9 || c.Bears == 0 {
		t.Errorf("the limits are %+v", c)
	}
	if float64(c.Spent.Up) > rate*took || float64(c.Spent.Down) > rate*took {
		t.Errorf("%d bytes up and %d down in %.1f s, where %d a second are the most", c.Spent.Up, c.Spent.Down, took, rate)
	}
	if c.Spent.Up < st.Traffic.Sent || c.Spent.Down < st.Traffic.Received || c.Spent.Clients < 6<<20 {
		t.Errorf("spent %+v of %+v", c.Spent, st.Traffic)
	}

	// What was asked for, and what was spent, outlives a restart.
	var stance struct{ AwayUntil, PausedUntil string }
	donor.ok(&stance, "", "node", "away", "14d")
	if until, err := time.Parse(time.RFC3339, stance.AwayUntil); err != nil || time.Until(until) < 13*24*time.Hour {
		t.Errorf("away until %q", stance.AwayUntil)
	}
	donor.fails(1, "at most 30 days of any 180", "", "node", "away", "31d")
	donor.ok(&stance, "", "node", "pause")
	b.fails(4, "", link+"\n", "cat", "-")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if code, err := node.Terminate(ctx); code != 0 || err != nil {
		t.Fatal(code, err)
	}
	w.must(node.Restart(ctx))
	b.boot = w.Bootstrap(1)
	after := donor.contract().Contract
	if after.AwayUntil != stance.AwayUntil || after.PausedUntil != stance.PausedUntil || after.Spent.Clients < c.Spent.Clients {
		t.Errorf("after a restart: %+v", after)
	}
	donor.ok(&stance, "", "node", "resume")
	donor.ok(&stance, "", "node", "away", "0")
	b.get(link, sum)
	a.boot = b.boot

	// Nobody is there to take over: it says so, takes nothing new, and serves.
	var drain struct {
		Done, MustStay   bool
		Slots, SlotsLeft int
		Why              string
	}
	r := donor.run("", "node", "drain", "--json")
	if r.Code != 1 || !strings.Contains(string(r.Stdout), `"mustStay":true`) || !strings.Contains(string(r.Stderr), "leave the node running") {
		t.Errorf("drain: exit status %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	w.must(node.Kill())
	w.must(node.Restart(ctx))
	a.boot = w.Bootstrap(1)
	b.boot = a.boot
	if !donor.contract().Contract.Draining {
		t.Error("killed, it forgets that it is leaving")
	}
	b.get(link, sum)
	other, _ := w.file("y", 1000)
	w.newcomer("c").fails(4, "", "", "put", other)
	donor.ok(&drain, "", "node", "drain", "--cancel")
	if donor.contract().Contract.Draining || drain.MustStay {
		t.Error("it leaves all the same")
	}
	w.newcomer("d").put(other)
}
