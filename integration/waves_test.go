//go:build unix

package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
)

// hasty is a network whose nodes live through a day in 43 s and consider a peer
// gone that is silent for 20 s.
var hasty = []string{
	"--time-scale", "0.0005", "--beat-every", "2h", "--absent-after", "8h", "--gone-after", "12h", "--log-level", "info",
}

// TestWavesOfDeaths kills so many current holders of a file's group that its
// members repair it, with the owner's process gone. As many new nodes join, and
// the members make again what is missing. CAIRN_WAVES=3 does this three times,
// which kills more holders than the file ever has at a time. Then a stranger gets
// the file.
func TestWavesOfDeaths(t *testing.T) {
	slow(t)
	w := newTown(t, 20, launch.Config{NodeArgs: hasty})
	w.settle(20)
	path, sum := w.file("x.bin", 8<<20)
	res := w.newcomer("owner").put(path, "--profile", "4/9/14")
	if res.Stored != 14 {
		t.Fatalf("put: %+v", res)
	}
	for i := range env("CAIRN_WAVES", 1) {
		begun := time.Now()
		w.wave(res.Link, 5)
		w.await("the members have made again what is missing", func() bool {
			return w.mended(res.Link, protocol.Profile{K: 4, R: 9, N: 14})
		})
		t.Logf("wave %d: mended after %s", i+1, time.Since(begun).Round(time.Second))
	}
	w.newcomer("stranger").catInTime("after the waves", res.Link, sum)
}

// mended reports whether a file's group needs no repair: whether more than r slots
// have holders that prove their shards and that most members know.
func (w *town) mended(link string, p protocol.Profile) bool {
	h, _ := w.newcomer(fmt.Sprintf("watcher-%d", w.rng.Uint32())).holders(link)
	known := 0
	for _, o := range h.Holders {
		if o.Proved && 2*o.Reported > p.N {
			known++
		}
	}
	return known > p.R
}

// wave kills some current holders and lets as many new nodes join.
func (w *town) wave(link string, count int) {
	w.t.Helper()
	h, nodes := w.newcomer("census").holders(link)
	var alive []*launch.Node
	for _, o := range h.Holders {
		if o.Proved && nodes[o.Slot] != nil {
			alive = append(alive, nodes[o.Slot])
		}
	}
	for _, i := range w.rng.Perm(len(alive))[:count] {
		w.must(alive[i].Kill())
	}
	_, err := w.AddNodes(w.ctx, count)
	w.must(err)
}

// TestLossWithoutRepair is the control: without repair, the deaths of two waves
// lose the file, and health says so before get does.
func TestLossWithoutRepair(t *testing.T) {
	slow(t)
	w := newTown(t, 20, launch.Config{NodeArgs: append([]string{"--no-repair"}, hasty...)})
	w.settle(20)
	path, _ := w.file("x.bin", 8<<20)
	res := w.newcomer("owner").put(path, "--profile", "4/9/14")
	_, nodes := w.newcomer("census").holders(res.Link)
	for _, slot := range w.rng.Perm(14)[:11] {
		w.must(nodes[slot].Kill())
	}
	_, err := w.AddNodes(w.ctx, 11)
	w.must(err)
	said := w.newcomer("gauge").run(res.Link+"\n", "health", "-")
	if said.Code != 4 || !contains(said.Stdout, "cannot be read now") {
		t.Errorf("health: exit status %d: %s%s", said.Code, said.Stdout, said.Stderr)
	}
	got := w.newcomer("stranger").run(res.Link+"\n", "cat", "-")
	if got.Code != 4 {
		t.Errorf("cat: exit status %d: %s", got.Code, got.Stderr)
	}
}
