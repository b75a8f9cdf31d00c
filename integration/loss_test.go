//go:build unix

package integration

import (
	"bufio"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
)

// withoutHints strips a link of its addresses.
func withoutHints(t *testing.T, text string) string {
	t.Helper()
	l, err := protocol.ParseLink(text)
	if err != nil {
		t.Fatal(err)
	}
	l.Hints = nil
	bare, err := l.Text()
	if err != nil {
		t.Fatal(err)
	}
	return bare
}

// TestHoldersDie is the promise itself: n−k holders of a full group die or hang,
// all data slots among them, and somebody with the link and one address gets the
// bytes back. With one holder more lost, get says so plainly.
func TestHoldersDie(t *testing.T) {
	w := newTown(t, 8, launch.Config{})
	a := w.newcomer("a")
	path, sum := w.file("x.bin", 9<<20+12345)
	res := a.put(path, "--hints", "--profile", "2/4/6")
	if res.Stored != 6 || !res.Safe || res.N != 6 {
		t.Fatalf("put: %+v", res)
	}
	bare := withoutHints(t, res.Link)
	health, nodes := a.holders(res.Link)
	if health.Reachable != 6 || len(health.Holders) != 6 {
		t.Fatalf("health: %+v", health)
	}
	w.must(nodes[0].Kill())
	w.must(nodes[1].Freeze())
	w.must(nodes[2].Kill())
	w.must(nodes[3].Freeze())
	w.stranger("b").get(res.Link, sum)
	w.firstByte(w.newcomer("c"), bare)
	w.newcomer("d").get(bare, sum)

	for _, slot := range []int{1, 3, 4} {
		w.must(nodes[slot].Kill())
	}
	e := w.newcomer("e")
	e.fails(4, "hint: nothing is lost", bare+"\n", "get", "-", w.Dir()+"/e.out")
	if _, err := os.Stat(w.Dir() + "/e.out"); err == nil {
		t.Error("a file was written all the same")
	}
	e.fails(4, "are needed", bare+"\n", "health", "-")
	w.must(nodes[4].Restart(w.ctx))
	w.newcomer("f").get(bare, sum)
}

// firstByte checks that a fresh home sees its first byte within 15 s, with
// holders that hang.
func (w *town) firstByte(p *person, link string) {
	w.t.Helper()
	cmd := p.Command(p.ctx, p.home, p.args([]string{"cat", "-"})...)
	cmd.Stdin = strings.NewReader(link + "\n")
	out, err := cmd.StdoutPipe()
	w.must(err)
	begun := time.Now()
	w.must(cmd.Start())
	r := bufio.NewReader(out)
	_, err = r.ReadByte()
	took := time.Since(begun)
	if err != nil || took > 15*time.Second {
		w.t.Errorf("the first byte came after %s: %v", took, err)
	}
	_, _ = io.Copy(io.Discard, r)
	w.must(cmd.Wait())
}

// TestManyHoldersDie does the same at 4/9/14, where ten of fourteen may go.
func TestManyHoldersDie(t *testing.T) {
	slow(t)
	w := newTown(t, 20, launch.Config{})
	a := w.newcomer("a")
	path, sum := w.file("x.bin", 50<<20)
	res := a.put(path)
	if res.K != 4 || res.N != 14 || res.Stored != 14 {
		t.Fatalf("put: %+v", res)
	}
	_, nodes := a.holders(res.Link)
	for slot, n := range nodes[:10] {
		if slot%2 == 0 {
			w.must(n.Kill())
		} else {
			w.must(n.Freeze())
		}
	}
	took := w.newcomer("b").get(res.Link, sum)
	t.Logf("50 MiB came back in %s with ten of fourteen holders gone", took)
}

// TestNodesComeBack stops every node in good order and starts it again: all
// that was acknowledged is there, under the same identities.
func TestNodesComeBack(t *testing.T) {
	w := newTown(t, 4, launch.Config{})
	a := w.newcomer("a")
	path, sum := w.file("x.bin", 5<<20)
	res := a.put(path)
	peers := make(map[string]bool)
	for _, n := range w.Nodes() {
		peers[n.Peer()] = true
		begun := time.Now()
		code, err := n.Terminate(w.ctx)
		if took := time.Since(begun); code != 0 || err != nil || took > 10*time.Second {
			t.Fatalf("%s ended with status %d after %s: %v", n.Name, code, took, err)
		}
	}
	for _, n := range w.Nodes() {
		w.must(n.Restart(w.ctx))
		if !peers[n.Peer()] {
			t.Fatalf("%s came back as somebody else", n.Name)
		}
	}
	w.newcomer("b").get(res.Link, sum)
}

// TestTooFewWhileTheyHang: if more holders hang than the profile tolerates, a get
// takes longer than if they were dead, and says so as plainly.
func TestTooFewWhileTheyHang(t *testing.T) {
	slow(t)
	t.Parallel() // it waits most of its time
	w := newTown(t, 4, launch.Config{})
	a := w.newcomer("a")
	path, _ := w.file("x.bin", 1<<20)
	res := a.put(path, "--profile", "2/3/3")
	_, nodes := a.holders(res.Link)
	w.must(nodes[0].Freeze())
	w.must(nodes[2].Freeze())
	b := w.newcomer("b")
	begun := time.Now()
	b.fails(4, "hint: nothing is lost", res.Link+"\n", "get", "-", w.Dir()+"/b.out")
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %s to say so", took)
	}
}
