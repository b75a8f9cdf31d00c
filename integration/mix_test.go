//go:build unix

package integration

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/lab/liar"
	"github.com/cairnstore/cairn/protocol"
)

// harm makes a holder die, hang or lie in every message, at random.
func (w *town) harm(n *launch.Node) string {
	w.t.Helper()
	switch w.rng.IntN(3) {
	case 0:
		w.must(n.Kill())
		return "killed"
	case 1:
		w.must(n.Freeze())
		return "stopped"
	}
	l := oneOf(w.rng, keepBack)
	w.lie(n, l)
	return string(l)
}

// TestAnyMixOfLosses makes n−k holders of a full group die, hang or lie in a
// random mix. Somebody with the link and one address gets the bytes: by the
// hints, without them, with all hints wrong, with a thousand forged provider
// records. With one holder more lost, it is an error that leaves nothing behind.
func TestAnyMixOfLosses(t *testing.T) {
	slow(t)
	w := newLiarTown(t, 18)
	w.settle(18)
	a := w.newcomer("a")
	path, sum := w.file("x.bin", 40<<20+4321)
	res := a.put(path, "--hints")
	if res.K != 4 || res.N != 14 || res.Stored != 14 {
		t.Fatalf("put: %+v", res)
	}
	bare := withoutHints(t, res.Link)
	h, nodes := a.holders(res.Link)
	if h.Reachable != 14 || len(h.Holders) != 14 {
		t.Fatalf("health before any loss: %+v", h)
	}
	forger := newForger(t, w, homeOf(t, bare)) // while all can take its records
	order := w.rng.Perm(14)
	mix := ""
	for _, slot := range order[:10] {
		mix += fmt.Sprintf(" %d:%s", slot, w.harm(nodes[slot]))
	}
	t.Logf("seed %d: slot by slot%s", w.seed, mix)

	boot := w.honest(nodes, order[:11]) // the eleventh is killed at the end
	fresh := func(name string) *person { return &person{w, w.Home(name), boot} }
	fresh("hints").catInTime("hints", res.Link, sum)
	fresh("bare").catInTime("no hints", bare, sum)
	fresh("wrong").catInTime("wrong hints", withHintsOf(t, bare, w.deadAddrs(4)...), sum)
	forger.forge(1000)
	fresh("forged").catInTime("a thousand forged providers", bare, sum)

	w.must(nodes[order[10]].Kill())
	dir := w.emptyFolder("out")
	r := fresh("more").run(bare+"\n", "get", "-", filepath.Join(dir, "x"))
	if r.Code != 4 && r.Code != 5 || !contains(r.Stderr, "14 holders gave valid bytes") {
		t.Errorf("with eleven of fourteen harmed: exit status %d: %s", r.Code, r.Stderr)
	}
	w.noLeftovers(dir)
}

// honest returns the address of one node that nobody harmed.
func (w *town) honest(nodes []*launch.Node, harmed []int) []string {
	var skip []*launch.Node
	for _, slot := range harmed {
		skip = append(skip, nodes[slot])
	}
	return w.Bootstrap(1, skip...)
}

// deadAddrs are addresses at which nobody answers, of peers that never were.
func (w *town) deadAddrs(count int) []string {
	var out []string
	for range count {
		out = append(out, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d/p2p/%s", w.freePort(), newIdentity(w.t).id))
	}
	return out
}

func homeOf(t *testing.T, link string) protocol.GroupPrefix {
	t.Helper()
	l, err := protocol.ParseLink(link)
	if err != nil {
		t.Fatal(err)
	}
	return l.Home
}

// TestPutAmongLiarProcesses stores a file while some nodes lie. What put
// reports as stored is what comes back.
func TestPutAmongLiarProcesses(t *testing.T) {
	slow(t)
	w := newLiarTown(t, 10)
	w.settle(10)
	for _, n := range w.Nodes()[1:4] {
		l := oneOf(w.rng, liar.All())
		t.Logf("seed %d: %s: %s", w.seed, n.Name, l)
		w.lie(n, l)
	}
	path, sum := w.file("x.bin", 12<<20)
	a := w.newcomer("a")
	res := a.put(path, "--wait", "5s")
	w.newcomer("b").catInTime("put among liars", res.Link, sum)
}
