//go:build unix

package integration

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/node"
)

// TestDrainProcess lets a holder of a file leave a network of real processes,
// killed once on the way: successors take over, then its command says that it can
// go. The file is whole, and the successor is found as the holder.
func TestDrainProcess(t *testing.T) {
	slow(t)
	w := newTown(t, 11, launch.Config{NodeArgs: hasty})
	w.settle(11)
	path, sum := w.file("x.bin", 20<<20)
	res := w.newcomer("owner").put(path, "--profile", "2/4/6")
	if res.Stored != 6 {
		t.Fatalf("put: %+v", res)
	}
	_, nodes := w.newcomer("census").holders(res.Link)
	var leaver *launch.Node
	for _, n := range nodes {
		if n != w.Nodes()[0] { // not the one that newcomers ask first
			leaver = n
		}
	}
	slot := slices.Index(nodes, leaver)
	donor := &person{w, leaver.Home, nil}
	held := w.freeing(leaver).Shards

	first := donor.start(nil, "node", "drain", "--json")
	w.await("the way out has begun", func() bool { return donor.contract().Contract.Draining })
	w.must(leaver.Kill())
	if r := donor.end(first); r.Code == 0 {
		t.Logf("it was done before it could be killed")
	}
	w.must(leaver.Restart(w.ctx))
	begun := time.Now()
	var r launch.Result
	w.await("others are known again who take it over", func() bool {
		r = donor.run("", "node", "drain", "--json")
		return r.Code == 0
	})
	var p node.DrainProgress
	if err := json.Unmarshal([]byte(lastLine(r.Stdout)), &p); err != nil || r.Code != 0 || !p.Done || p.SlotsLeft != 0 || p.BytesLeft != 0 || p.Slots == 0 {
		t.Fatalf("drain: exit status %d: %s%s", r.Code, r.Stdout, r.Stderr)
	}
	t.Logf("%d shards in %d slots handed over %s after the kill", held, p.Slots, time.Since(begun).Round(time.Millisecond))
	if left := w.freeing(leaver).Shards; left != 0 || held == 0 {
		t.Errorf("%d of %d shards are left", left, held)
	}
	if said := donor.run("", "node", "status"); !contains(said.Stdout, "draining   since ") || !contains(said.Stdout, "nothing is left here: the node can go") {
		t.Errorf("status: %s%s", said.Stdout, said.Stderr)
	}
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if code, err := leaver.Terminate(ctx); code != 0 || err != nil {
		t.Fatal(code, err)
	}

	h, now := w.newcomer("gauge").holders(res.Link)
	if h.Reachable != 6 || now[slot] == nil || now[slot] == leaver {
		t.Errorf("health: %+v", h)
	}
	w.newcomer("stranger").catInTime("after the holder left", res.Link, sum)
}
