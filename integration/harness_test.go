//go:build unix

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/lab/liar"
	"github.com/cairnstore/cairn/protocol"
)

// What is asked of a get in a fresh home.
const firstByteWithin = 15 * time.Second

// newLiarTown is a network of nodes that can be told to lie.
func newLiarTown(t *testing.T, nodes int, args ...string) *town {
	t.Helper()
	return newTown(t, nodes, launch.Config{NodeBinary: program(t, "integration/liar"), Donate: "4000000000", NodeArgs: args})
}

// settle waits until a newcomer sees that many nodes.
func (w *town) settle(nodes int) {
	w.t.Helper()
	var seen networkResult
	w.await("a newcomer sees every node", func() bool {
		w.newcomer(fmt.Sprintf("observer-%d", w.rng.Uint32())).ok(&seen, "", "network")
		return seen.Nodes >= nodes
	})
}

// await polls a condition, at most for the patience of a test.
func (w *town) await(what string, holds func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("it never came to pass that %s", what)
		}
	}
}

// lie makes a node of a liar town lie on every stream from now on.
func (w *town) lie(n *launch.Node, l liar.Lie) {
	w.t.Helper()
	w.must(os.WriteFile(filepath.Join(n.Home, "lie"), []byte(l), 0o600))
}

// rerun is the program of a person, started and not awaited.
type rerun struct {
	*exec.Cmd
	out, log bytes.Buffer
	done     chan struct{}
}

// start starts a command; end awaits its end.
func (p *person) start(stdin io.Reader, args ...string) *rerun {
	p.t.Helper()
	r := &rerun{Cmd: p.Command(p.ctx, p.home, p.args(args)...), done: make(chan struct{})}
	r.Stdin, r.Stdout, r.Stderr = stdin, &r.out, &r.log
	p.must(r.Start())
	go func() {
		defer close(r.done)
		_ = r.Wait() // how it ended stands in ProcessState
	}()
	p.t.Cleanup(func() { _ = r.Process.Kill(); <-r.done })
	return r
}

// running reports whether the process has not ended.
func (r *rerun) running() bool {
	select {
	case <-r.done:
		return false
	default:
		return true
	}
}

// end returns what a started command said and how it ended.
func (p *person) end(r *rerun) launch.Result {
	p.t.Helper()
	select {
	case <-r.done:
	case <-time.After(patience):
		p.t.Fatalf("%v does not end", r.Args[1:])
	}
	return launch.Result{Stdout: r.out.Bytes(), Stderr: r.log.Bytes(), Code: r.ProcessState.ExitCode()}
}

// fetched is what a stream of bytes was, and when it began.
type fetched struct {
	sum   [32]byte
	size  int64
	first time.Duration
	code  int
	log   []byte
}

// firstByteWriter notes when the first byte came.
type firstByteWriter struct {
	sum   hash.Hash
	begun time.Time
	first time.Duration
	size  int64
}

func (f *firstByteWriter) Write(b []byte) (int, error) {
	if f.size == 0 && len(b) > 0 {
		f.first = time.Since(f.begun)
	}
	f.size += int64(len(b))
	return f.sum.Write(b)
}

// cat fetches a link into a hash.
func (p *person) cat(link string) fetched {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	var log bytes.Buffer
	w := &firstByteWriter{sum: sha256.New(), begun: time.Now()}
	cmd := p.Command(ctx, p.home, p.args([]string{"cat", "-"})...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(link+"\n"), w, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatal(err)
	}
	return fetched{[32]byte(w.sum.Sum(nil)), w.size, w.first, cmd.ProcessState.ExitCode(), log.Bytes()}
}

// catInTime fetches a link in a fresh home and checks bytes and time.
func (p *person) catInTime(what, link string, want [32]byte) {
	p.t.Helper()
	f := p.cat(link)
	p.t.Logf("%s: first byte after %s, %d bytes", what, f.first.Round(time.Millisecond), f.size)
	switch {
	case f.code != 0:
		p.t.Errorf("%s: exit status %d: %s", what, f.code, f.log)
	case f.sum != want:
		p.t.Errorf("%s: %d bytes came back, and they are others", what, f.size)
	case f.first > firstByteWithin:
		p.t.Errorf("%s: the first byte came after %s", what, f.first)
	}
}

// noLeftovers checks that a folder holds nothing, temporary files included.
func (w *town) noLeftovers(dir string) {
	w.t.Helper()
	list, err := os.ReadDir(dir)
	w.must(err)
	for _, e := range list {
		w.t.Errorf("%s is left in the folder of a get that failed", e.Name())
	}
}

// emptyFolder makes a folder for a get.
func (w *town) emptyFolder(name string) string {
	w.t.Helper()
	dir := filepath.Join(w.Dir(), name)
	w.must(os.Mkdir(dir, 0o700))
	return dir
}

// withHintsOf gives a link other hints.
func withHintsOf(t *testing.T, text string, hints ...string) string {
	t.Helper()
	l, err := protocol.ParseLink(text)
	if err != nil {
		t.Fatal(err)
	}
	l.Hints = nil
	for _, h := range hints {
		l.Hints = append(l.Hints, multiaddr.StringCast(h))
	}
	out, err := l.Text()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// freePort returns a port of 127.0.0.1 that nobody has.
func (w *town) freePort() int {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.must(err)
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}

// procRead reads a file of a process below /proc.
func procRead(pid int, name string) []byte {
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), name))
	if err != nil {
		return nil // it has ended
	}
	return b
}

// needsProc skips where there is no /proc.
func needsProc(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("it reads /proc, which is Linux's")
	}
}

// keepBack are the lies that keep a holder's bytes from a peer that asks for them.
// With the other lies it serves truly: one that forgets what it is given serves
// what it had before, and so does one that boasts of space.
var keepBack = []liar.Lie{liar.WrongBytes, liar.Swap, liar.Deny, liar.Refuse, liar.Stall}

// oneOf draws a lie.
func oneOf(rng *rand.Rand, lies []liar.Lie) liar.Lie { return lies[rng.IntN(len(lies))] }
