//go:build unix

package integration

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

// TestTwoHomes plays two people on one machine who have nothing but `cairn
// node`, `network invite`, `join`, `put` and `get`, while the network grows.
// Each put takes the profile that the network allows and says how safe it is.
func TestTwoHomes(t *testing.T) {
	w := newTown(t, 1, launch.Config{})
	first := w.Nodes()[0]
	var inv inviteResult
	(&person{w, first.Home, nil}).ok(&inv, "", "network", "invite")
	if !strings.HasPrefix(inv.Text, "cairn-join:") {
		t.Fatalf("invitation %q", inv.Text)
	}
	ada, bob := w.stranger("ada"), w.stranger("bob")
	for _, p := range []*person{ada, bob} {
		var joined struct{ Answered bool }
		if p.ok(&joined, "", "join", inv.Text); !joined.Answered {
			t.Fatal("the invitation's node does not answer")
		}
	}
	steps := []struct {
		nodes   int
		profile string
		safe    bool
	}{{1, "1/1/1", false}, {3, "1/2/3", true}, {7, "2/4/6", true}}
	if !testing.Short() {
		steps = append(steps, struct {
			nodes   int
			profile string
			safe    bool
		}{20, "4/9/14", true})
	}
	for i, s := range steps {
		w.addNodes(s.nodes - len(w.Nodes()))
		path, sum := w.file(fmt.Sprintf("%d.bin", i), 3<<20)
		r := ada.put(path)
		if got := fmt.Sprintf("%d/%d/%d", r.K, r.R, r.N); got != s.profile || r.Safe != s.safe || r.Stored != r.N {
			t.Fatalf("with %d nodes: %+v, wanted %s", s.nodes, r, s.profile)
		}
		plain := ada.run("", "put", path)
		if said := contains(plain.Stderr, "not safe yet"); said == s.safe || plain.Code != 0 {
			t.Errorf("with %d nodes put says: %s", s.nodes, plain.Stderr)
		}
		bob.get(r.Link, sum)
		bob.get(strings.TrimSpace(string(plain.Stdout)), sum)
	}
	var list struct{ Uploads []struct{ Name string } }
	if ada.ok(&list, "", "uploads"); len(list.Uploads) != 2*len(steps) {
		t.Errorf("uploads: %+v", list)
	}
	if first.Restart(w.ctx) == nil {
		t.Error("a running node was started again")
	}
}

// TestNodeAndPutShareAHome: a put works in the home of a running node, and needs
// no bootstrap: it asks the node of its own home.
func TestNodeAndPutShareAHome(t *testing.T) {
	w := newTown(t, 3, launch.Config{})
	path, sum := w.file("x.bin", 1<<20)
	p := &person{w, w.Nodes()[1].Home, nil}
	r := p.put(path)
	w.newcomer("b").get(r.Link, sum)
	var st struct {
		Shards int
		Peer   string
	}
	p.ok(&st, "", "node", "status")
	if st.Peer != w.Nodes()[1].Peer() || st.Shards == 0 {
		t.Errorf("status: %+v", st)
	}
}

// TestSizes puts files of sizes at which something changes.
func TestSizes(t *testing.T) {
	w := newTown(t, 3, launch.Config{})
	a, b := w.newcomer("a"), w.newcomer("b")
	sizes := []int64{
		0, 1, // no extent; the smallest
		16 << 10, 16<<10 + 1, // a leaf
		256<<10 - 1, 256 << 10, 256<<10 + 1, // a part
		4<<20 + 1, // beyond a segment of k = 1
	}
	for _, size := range sizes {
		path, sum := w.file(fmt.Sprintf("%d.bin", size), size)
		r := a.put(path)
		if r.Size != size {
			t.Errorf("%d bytes: put says %d", size, r.Size)
		}
		b.get(r.Link, sum)
	}
}
