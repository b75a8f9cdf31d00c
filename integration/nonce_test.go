//go:build unix

package integration

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
)

// TestNoncesNeverRepeat puts one file again and again with a program that
// writes down each sealing (build tag nonceaudit), kills it at odd moments and
// changes the file in between, with holders that come and go. No key and
// counter may ever have sealed two texts.
func TestNoncesNeverRepeat(t *testing.T) {
	slow(t)
	audit := filepath.Join(t.TempDir(), "audit")
	w := newTown(t, 6, launch.Config{
		Binary: program(t, "cmd/cairn", "-tags", "nonceaudit"),
		Env:    []string{"CAIRN_NONCE_AUDIT=" + audit},
	})
	a := w.newcomer("a")
	const rounds = 10
	for i := range rounds {
		path, _ := w.file("same-name.bin", 24<<20)
		cmd := a.Command(a.ctx, a.home, a.args([]string{"put", path, "--profile", "2/3/4"})...)
		w.must(cmd.Start())
		w.killWhen(cmd, audit, int64(1+w.rng.IntN(80)))
		if i%3 == 1 {
			n := w.Nodes()[1+w.rng.IntN(5)]
			w.must(n.Kill())
			w.must(n.Restart(w.ctx))
		}
	}
	path, sum := w.file("same-name.bin", 24<<20)
	w.newcomer("b").get(a.put(path).Link, sum)
	w.putTwice(a, path)
	lines := checkAudit(t, audit)
	t.Logf("%d sealings, no key and counter twice for two texts", lines)
	if lines < 200 {
		t.Errorf("only %d sealings were seen", lines)
	}
}

// putTwice puts the same bytes again: a put is never convergent.
func (w *town) putTwice(a *person, path string) {
	w.t.Helper()
	if x, y := a.put(path).Link, a.put(path).Link; x == y {
		w.t.Error("two puts gave one link")
	}
}

// killWhen kills a put once it has sealed so many more parts, or lets it end.
func (w *town) killWhen(cmd *exec.Cmd, audit string, more int64) {
	w.t.Helper()
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	const line = 64 + 1 + 1 + 1 + 64 + 1 // bytes at least
	until := size(audit) + more*line
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for size(audit) < until {
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
	_ = cmd.Process.Kill()
	<-done
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// checkAudit reads "key counter plain" lines.
func checkAudit(t *testing.T, path string) int {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	sealed := make(map[string]string)
	n := 0
	r := bufio.NewReader(f)
	for {
		line, err := r.ReadString('\n')
		if errors.Is(err, io.EOF) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		n++
		var key, counter, plain string
		if _, err := fmt.Sscan(strings.TrimSpace(line), &key, &counter, &plain); err != nil {
			t.Fatalf("line %d: %v", n, err)
		}
		at := key + "/" + counter
		if old, ok := sealed[at]; ok && old != plain {
			t.Fatalf("line %d: one key and counter sealed two texts", n)
		}
		sealed[at] = plain
	}
}
