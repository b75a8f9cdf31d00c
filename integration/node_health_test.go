//go:build unix

package integration

import (
	"encoding/json"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

// nodeHealth is what `cairn node health --json` promises.
type nodeHealth struct {
	Groups []struct {
		Group, State                           string
		Proved, Reachable, Needed, AfterWorst5 int
		Readable                               bool
	}
}

// nodeHealth asks a node for the health of its groups; code is the command's exit
// status.
func (w *town) nodeHealth(n *launch.Node, args ...string) (h nodeHealth, code int) {
	w.t.Helper()
	r := (&person{w, n.Home, nil}).run("", append([]string{"node", "health", "--json"}, args...)...)
	if err := json.Unmarshal(r.Stdout, &h); err != nil {
		w.t.Fatalf("node health: exit status %d, %v in %s%s", r.Code, err, r.Stdout, r.Stderr)
	}
	return h, r.Code
}

// TestNodeHealthOfADyingGroup: a holder sees its group proved, then, when one of
// two needed is left and nobody repairs, unreadable, before a reader has tried.
func TestNodeHealthOfADyingGroup(t *testing.T) {
	slow(t)
	t.Parallel() // it waits most of its time
	w := newTown(t, 7, launch.Config{NodeArgs: append([]string{"--no-repair"}, hasty...)})
	w.settle(7)
	path, _ := w.file("x.bin", 1<<20)
	res := w.newcomer("owner").put(path, "--profile", "2/4/6")
	_, nodes := w.newcomer("census").holders(res.Link)
	left := nodes[w.rng.IntN(len(nodes))]
	w.await("a holder has audited the others", func() bool {
		h, code := w.nodeHealth(left)
		return len(h.Groups) == 1 && h.Groups[0].State == "well" && h.Groups[0].Reachable == 6 && h.Groups[0].AfterWorst5 == 1 && code == 0
	})
	for _, n := range nodes {
		if n != left {
			w.must(n.Kill())
		}
	}
	w.await("it sees that the group cannot be read", func() bool {
		h, code := w.nodeHealth(left)
		if readable := h.Groups[0].Readable; readable != (code == 0) {
			t.Errorf("exit status %d: %+v", code, h)
		}
		return !h.Groups[0].Readable
	})
	if got := w.newcomer("stranger").run(res.Link+"\n", "cat", "-"); got.Code != 4 {
		t.Errorf("cat: exit status %d: %s", got.Code, got.Stderr)
	}
	said := (&person{w, left.Home, nil}).run("", "node", "health")
	if said.Code != 4 || !contains(said.Stdout, "UNREADABLE NOW") || contains(said.Stdout, " well") {
		t.Errorf("exit status %d: %s", said.Code, said.Stdout)
	}
}
