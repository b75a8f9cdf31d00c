//go:build unix

package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

const (
	restarts      = 4
	restartSource = 16 << 20
)

// wroteBytes finds in /proc/PID/io what a process has written, sockets too.
var wroteBytes = regexp.MustCompile(`wchar: (\d+)`)

// TestNodeKilledDuringPuts kills a holder by SIGKILL in the middle of puts and
// starts it again, with the same home, port and identity. Whatever put reported
// as stored is served afterwards: each holder proves a leaf of each segment. Then
// the same with the node's index deleted while it was down.
func TestNodeKilledDuringPuts(t *testing.T) {
	slow(t)
	needsProc(t)
	w := newTown(t, 5, launch.Config{})
	victim := w.addNodes(1, "--listen", fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", w.freePort()))[0]
	w.settle(6)
	id, addrs := victim.Peer(), victim.Addrs()
	a := w.newcomer("a")
	var puts []putResult
	var sums [][32]byte
	for round := range restarts {
		path, sum := w.file(fmt.Sprintf("%d.bin", round), restartSource)
		r := a.start(nil, "put", path, "--json", "--profile", "2/4/6", "--wait", "20s")
		at := w.rng.Int64N(2 * restartSource) // of the bytes sent, which are three times the source
		w.await("a put has sent so much", func() bool { return wrote(r) >= at || !r.running() })
		w.must(victim.Kill())
		w.must(victim.Restart(w.ctx))
		puts, sums = append(puts, a.putEnds(r)), append(sums, sum)
		t.Logf("seed %d: killed after %d bytes: stored %d of 6", w.seed, at, puts[round].Stored)
	}
	if victim.Peer() != id || fmt.Sprint(victim.Addrs()) != fmt.Sprint(addrs) {
		t.Errorf("it came back as %s at %v", victim.Peer(), victim.Addrs())
	}
	w.served("after kills", victim, puts)
	w.must(victim.Kill())
	w.deleteIndex(victim)
	w.must(victim.Restart(w.ctx))
	w.served("without its index", victim, puts)
	for i, p := range puts {
		w.newcomer("b").get(p.Link, sums[i])
	}
}

func wrote(r *rerun) int64 {
	m := wroteBytes.FindSubmatch(procRead(r.Process.Pid, "io"))
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseInt(string(m[1]), 10, 64)
	return n
}

// putEnds awaits a put and decodes what it says.
func (p *person) putEnds(r *rerun) (res putResult) {
	p.t.Helper()
	out := p.end(r)
	if out.Code != 0 {
		p.t.Fatalf("put: exit status %d: %s", out.Code, out.Stderr)
	}
	p.must(json.Unmarshal(out.Stdout, &res))
	return res
}

// served checks by health that as many shards of every segment are proved as
// put said.
func (w *town) served(when string, victim *launch.Node, puts []putResult) {
	w.t.Helper()
	for i, p := range puts {
		var h struct {
			healthResult
			Segments, Checked int
		}
		w.newcomer(fmt.Sprintf("judge-%d", w.rng.Uint32())).ok(&h, p.Link+"\n", "health", "-")
		if h.Reachable < p.Stored || h.Checked != h.Segments {
			w.t.Errorf("%s, put %d: stored %d, of %d segments %d checked, %d proved: %+v", when, i, p.Stored, h.Segments, h.Checked, h.Reachable, h.Holders)
		}
		for _, o := range h.Holders {
			if o.Peer == victim.Peer() && p.Stored == p.N && !o.Proved {
				w.t.Errorf("%s, put %d: the victim does not prove its slot %d", when, i, o.Slot)
			}
		}
	}
}

// deleteIndex deletes what a store can make again from its logs.
func (w *town) deleteIndex(n *launch.Node) {
	w.t.Helper()
	list, err := filepath.Glob(filepath.Join(n.Home, "node", "store", "index.db*"))
	w.must(err)
	if len(list) == 0 {
		w.t.Fatal("no index found to delete")
	}
	for _, path := range list {
		w.must(os.Remove(path))
	}
}
