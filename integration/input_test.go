//go:build unix

package integration

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
)

// TestBadInput is what goes wrong when people use it: each a sentence that
// says what is wrong and what to do, with its exit status, and nothing lost.
// What needs no network stands in cmd/cairn/testdata/script.
func TestBadInput(t *testing.T) {
	w := newTown(t, 3, launch.Config{Donate: "100MB"})
	a := w.newcomer("a")
	small, sum := w.file("small", 1<<20)
	good := a.put(small)

	t.Run("full network", func(t *testing.T) {
		big, _ := w.file("big", 400<<20)
		a.fails(4, "full", "", "put", big)
		a.fails(4, "hint: nothing was stored", "", "put", big)
		w.newcomer("b").get(good.Link, sum)
	})
	t.Run("too few nodes for a profile", func(t *testing.T) {
		a.fails(4, "4/9/14", "", "put", small, "--profile", "4/9/14")
	})
	t.Run("existing target", func(t *testing.T) {
		target := filepath.Join(w.Dir(), "mine")
		w.must(os.WriteFile(target, []byte("mine"), 0o600))
		a.fails(1, "it exists", good.Link, "get", "-", target)
		if b, err := os.ReadFile(target); string(b) != "mine" || err != nil {
			t.Errorf("it is %q now: %v", b, err)
		}
		var got struct{ Path string }
		a.ok(&got, good.Link, "get", "-", target, "--force")
		if b, err := os.ReadFile(target); int64(len(b)) != good.Size || err != nil {
			t.Errorf("--force wrote %d bytes: %v", len(b), err)
		}
	})
	t.Run("folder as target", func(t *testing.T) {
		dir := t.TempDir()
		var got struct{ Path string }
		a.ok(&got, good.Link, "get", "-", dir)
		if got.Path != filepath.Join(dir, "small") {
			t.Errorf("written to %s", got.Path)
		}
		if left, _ := filepath.Glob(dir + "/.*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	t.Run("hostile name", func(t *testing.T) {
		r := a.run("x", "put", "-", "--name", "../../x")
		if r.Code != 2 || !contains(r.Stderr, "path separator") {
			t.Errorf("exit status %d: %s", r.Code, r.Stderr)
		}
	})
	t.Run("source that is longer than it says", func(t *testing.T) {
		if _, err := os.Stat("/proc/self/status"); err != nil {
			t.Skip("no /proc here")
		}
		a.fails(1, "changed while it was read", "", "put", "/proc/self/status")
	})
	t.Run("link of nothing", func(t *testing.T) {
		l := strings.Repeat("A", 87)
		a.fails(2, "link: damaged", "cairn:"+l, "get", "-")
	})
	t.Run("another network", func(t *testing.T) {
		a.fails(4, "no peer of the network answers", good.Link, "get", "-", t.TempDir(), "--network", "other")
	})
}

// TestOneProcessAHome: a home's two parts have a lock each.
func TestOneProcessAHome(t *testing.T) {
	w := newTown(t, 3, launch.Config{})
	node := &person{w, w.Nodes()[0].Home, nil}
	node.fails(1, "in use by another process", "", "node", "--donate", "1GB")

	a := w.newcomer("a")
	ctx := a.ctx
	cmd := a.Command(ctx, a.home, a.args([]string{"put", "-"})...)
	stdin, err := cmd.StdinPipe()
	w.must(err)
	stderr, err := cmd.StderrPipe()
	w.must(err)
	w.must(cmd.Start())
	said := bufio.NewReader(stderr)
	line, err := said.ReadString('\n') // it has made the home's secret: it holds owner/
	if err != nil || !strings.Contains(line, "secret") {
		t.Fatalf("put says %q: %v", line, err)
	}
	a.fails(1, "in use by another process", "x", "put", "-")
	_, err = io.WriteString(stdin, "hello")
	w.must(err)
	w.must(stdin.Close())
	_, _ = io.Copy(io.Discard, said)
	w.must(cmd.Wait())
}

// TestPortsAndFolders: a taken port and another node's folder.
func TestPortsAndFolders(t *testing.T) {
	w := newTown(t, 1, launch.Config{})
	n := w.Nodes()[0]
	var tcp string
	for _, addr := range n.Addrs() {
		if i := strings.Index(addr, "/p2p/"); strings.Contains(addr, "/tcp/") {
			tcp = addr[:i]
		}
	}
	p := w.newcomer("b")
	p.fails(1, "taken", "", "node", "--donate", "1GB", "--listen", tcp)
	p.fails(1, "hint: another node runs on that folder", "", "node", "--listen", "/ip4/127.0.0.1/tcp/0",
		"--donate", "1GB:"+filepath.Join(n.Home, "node", "store"))
	w.must(n.Kill())
	p.fails(1, "hint: each node has folders of its own", "", "node", "--listen", "/ip4/127.0.0.1/tcp/0",
		"--donate", "1GB:"+filepath.Join(n.Home, "node", "store"))
}

// TestInterrupted: Ctrl-C ends a put with 130, and nothing is lost.
func TestInterrupted(t *testing.T) {
	w := newTown(t, 3, launch.Config{})
	a := w.newcomer("a")
	cmd := a.Command(a.ctx, a.home, a.args([]string{"put", "-", "--name", "endless"})...)
	cmd.Stdin = w.noise()
	stderr, err := cmd.StderrPipe()
	w.must(err)
	w.must(cmd.Start())
	said := bufio.NewReader(stderr)
	for { // until something is under way
		line, err := said.ReadString('\n')
		if err != nil {
			t.Fatalf("put ended: %v", err)
		}
		if strings.Contains(line, "segments safe") {
			break
		}
	}
	w.must(cmd.Process.Signal(os.Interrupt))
	begun := time.Now()
	rest, _ := io.ReadAll(said)
	_ = cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != 130 || time.Since(begun) > 10*time.Second {
		t.Errorf("exit status %d after %s: %s", code, time.Since(begun), rest)
	}
	var list struct {
		Uploads []struct {
			Name       string
			Unfinished bool
		}
	}
	a.ok(&list, "", "uploads")
	if len(list.Uploads) != 1 || !list.Uploads[0].Unfinished {
		t.Errorf("uploads: %+v", list)
	}
	path, sum := w.file("x", 1<<20)
	w.newcomer("b").get(a.put(path).Link, sum)
}
