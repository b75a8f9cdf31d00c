//go:build unix

package integration

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
)

type deleteResult struct {
	Name                            string
	Size                            int64
	Segments, Holders, Acknowledged int
	Enough                          bool
}

type uploadRow struct {
	Name, ID             string
	Unfinished, Deleting bool
}

func (p *person) uploads() []uploadRow {
	p.t.Helper()
	var list struct{ Uploads []uploadRow }
	p.ok(&list, "", "uploads")
	return list.Uploads
}

// freeing returns how many deleted segments wait on a node's disk.
func (w *town) freeing(n *launch.Node) (st struct{ Freeing, Shards int }) {
	w.t.Helper()
	(&person{town: w, home: n.Home}).ok(&st, "", "node", "status")
	return st
}

// Every node refuses what is deleted immediately. A node that was down hears of it
// from the owner's next command, whatever that is, and no node forgets it over a
// restart.
func TestDeleteCommand(t *testing.T) {
	slow(t)
	w := newTown(t, 4, launch.Config{})
	w.settle(4)
	a, b := w.newcomer("a"), w.newcomer("b")
	path, sum := w.file("doomed", 3<<20)
	other, otherSum := w.file("kept", 1<<20)
	doomed, kept := a.put(path), a.put(other)
	b.get(doomed.Link, sum)
	b.fails(1, "not put from this home", doomed.Link, "delete", "-")

	down := w.Nodes()[3]
	for _, n := range w.Nodes()[1:] { // not the one that is asked first
		if w.freeing(n).Shards > 0 {
			down = n
			break
		}
	}
	w.must(down.Kill())
	said := a.run(doomed.Link+"\n", "delete", "-")
	if text := string(said.Stderr); said.Code != 0 || !strings.Contains(text, "2 of 3 holders acknowledged, the others will learn it from them; disk is freed in 7 days") {
		t.Fatalf("delete: exit status %d: %s", said.Code, text)
	}
	b.fails(3, "deleted", doomed.Link, "cat", "-")
	for _, u := range a.uploads() {
		if u.Name == "doomed" {
			t.Errorf("it is listed still: %+v", u)
		}
	}
	w.must(down.Restart(w.ctx))
	w.await("the node that was down hears of it", func() bool {
		var r struct{ Groups, Renewed, Holders, Acknowledged int }
		a.ok(&r, "", "renew")
		return w.freeing(down).Freeing == doomed.Segments
	})
	for _, n := range w.Nodes() {
		before := w.freeing(n)
		w.must(n.Kill())
		w.must(n.Restart(w.ctx))
		if after := w.freeing(n); after != before {
			t.Errorf("%s: %+v after a restart, %+v before", n.Name, after, before)
		}
	}
	w.settle(4)
	c := w.newcomer("c")
	c.fails(3, "deleted", doomed.Link, "cat", "-")
	c.get(kept.Link, otherSum)
}

// A delete that is killed at any moment is finished by the same command, and
// deletes nothing else.
func TestDeleteKilled(t *testing.T) {
	slow(t)
	w := newTown(t, 3, launch.Config{})
	w.settle(3)
	a := w.newcomer("a")
	path, _ := w.file("doomed", 1<<20)
	other, otherSum := w.file("kept", 1<<20)
	kept := a.put(other)
	begun := time.Now()
	var r deleteResult
	a.ok(&r, a.put(path).Link+"\n", "delete", "-")
	whole := time.Since(begun)
	for i := range 6 {
		up := a.put(path)
		cmd := a.start(strings.NewReader(up.Link+"\n"), "delete", "-")
		time.Sleep(time.Duration(i+1) * whole / 8)
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Fatal(err)
		}
		a.end(cmd)
		again := a.run(up.Link+"\n", "delete", "-", "--json")
		if again.Code != 0 && !bytes.Contains(again.Stderr, []byte("deleted already")) {
			t.Errorf("killed after %v: exit status %d: %s", time.Duration(i+1)*whole/8, again.Code, again.Stderr)
		}
	}
	if list := a.uploads(); len(list) != 1 || list[0].Name != "kept" {
		t.Errorf("listed: %+v", list)
	}
	w.newcomer("b").get(kept.Link, otherSum)
}
