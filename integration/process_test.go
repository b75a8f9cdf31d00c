//go:build unix

package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cairnstore/cairn/lab/launch"
)

// patience bounds every command of a test: nothing here should take nearly as
// long.
const patience = 2 * time.Minute

const longVariable = "CAIRN_LONG" // set: the tests that take minutes and gigabytes run

// binaries are built once for all tests, each on first use.
var binaries struct {
	sync.Mutex
	dir   string
	built map[string]string // by arguments of go build
}

func TestMain(m *testing.M) {
	if os.Getenv(raidVariable) != "" {
		os.Exit(raidMain())
	}
	code := m.Run()
	if binaries.dir != "" {
		_ = os.RemoveAll(binaries.dir)
	}
	os.Exit(code)
}

// program returns the path of a program of this module.
func program(t *testing.T, pkg string, flags ...string) string {
	t.Helper()
	binaries.Lock()
	defer binaries.Unlock()
	if binaries.dir == "" {
		dir, err := os.MkdirTemp("", "cairn-integration-")
		if err != nil {
			t.Fatal(err)
		}
		binaries.dir, binaries.built = dir, make(map[string]string)
	}
	key := strings.Join(append(flags, pkg), " ")
	if path, ok := binaries.built[key]; ok {
		return path
	}
	path := filepath.Join(binaries.dir, fmt.Sprintf("%d-%s", len(binaries.built), filepath.Base(pkg)))
	args := append([]string{"build", "-o", path}, flags...)
	out, err := exec.Command("go", append(args, "../"+pkg)...).CombinedOutput()
	if err != nil {
		t.Fatalf("go build %s: %v\n%s", key, err, out)
	}
	binaries.built[key] = path
	return path
}

// slow skips tests that do not fit into `make test`.
func slow(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("real processes for long: `make test-all` runs it")
	}
}

// town is a network of processes on loopback and the people who use it.
type town struct {
	*launch.Lab
	t    *testing.T
	ctx  context.Context
	seed uint64
	rng  *rand.Rand
}

func newTown(t *testing.T, nodes int, cfg launch.Config) *town {
	t.Helper()
	if cfg.Binary == "" {
		cfg.Binary = program(t, "cmd/cairn")
	}
	if cfg.Network == "" {
		cfg.Network = "test"
	}
	lab, err := launch.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	w := &town{Lab: lab, t: t, ctx: t.Context(), seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
	t.Cleanup(func() {
		if t.Failed() {
			lab.Keep()
			t.Logf("seed %d, homes and logs in %s", seed, lab.Dir())
		}
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	w.addNodes(nodes)
	return w
}

func (w *town) addNodes(count int, args ...string) []*launch.Node {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	nodes, err := w.AddNodes(ctx, count, args...)
	if err != nil {
		w.t.Fatal(err)
	}
	return nodes
}

// person is somebody with a home of their own.
type person struct {
	*town
	home string
	boot []string // --bootstrap; empty: what the home knows
}

// newcomer knows one node, the first that runs.
func (w *town) newcomer(name string) *person {
	return &person{w, w.Home(name), w.Bootstrap(1)}
}

// stranger knows nobody.
func (w *town) stranger(name string) *person { return &person{w, w.Home(name), nil} }

// run runs a command to its end. Secrets go to stdin.
func (p *person) run(stdin string, args ...string) launch.Result {
	p.t.Helper()
	return p.runFrom(strings.NewReader(stdin), args...)
}

func (p *person) runFrom(stdin io.Reader, args ...string) launch.Result {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	begun := time.Now()
	r, err := p.Run(ctx, p.home, stdin, p.args(args)...)
	p.t.Logf("%s: cairn %s: exit status %d", time.Since(begun).Round(time.Millisecond), args[0][:min(len(args[0]), 8)], r.Code)
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

func (p *person) args(args []string) []string {
	out := append([]string(nil), args...)
	for _, b := range p.boot {
		out = append(out, "--bootstrap", b)
	}
	return out
}

// ok runs a command that must succeed and decodes its --json result.
func (p *person) ok(result any, stdin string, args ...string) {
	p.t.Helper()
	r := p.run(stdin, append(args, "--json")...)
	if r.Code != 0 {
		p.t.Fatalf("cairn %s: exit status %d: %s", args[0], r.Code, r.Stderr)
	}
	if err := json.Unmarshal(r.Stdout, result); err != nil {
		p.t.Fatalf("cairn %s: %v in %s", args[0], err, r.Stdout)
	}
}

// fails runs a command that must end with a status and say what is wrong.
func (p *person) fails(code int, says, stdin string, args ...string) {
	p.t.Helper()
	r := p.run(stdin, args...)
	if r.Code != code || !strings.Contains(string(r.Stderr), says) || !strings.HasPrefix(lastComplaint(r.Stderr), "cairn: ") {
		p.t.Errorf("cairn %s: exit status %d, not %d with %q:\n%s", strings.Join(args, " "), r.Code, code, says, r.Stderr)
	}
}

// lastComplaint returns the line that says what went wrong.
func lastComplaint(stderr []byte) string {
	last := ""
	for line := range strings.Lines(string(stderr)) {
		if strings.HasPrefix(line, "cairn: ") {
			last = line
		}
	}
	return last
}

// putResult, healthResult and others are what docs/json.md promises.
type putResult struct {
	Link                      string
	Size                      int64
	Segments, Stored, K, R, N int
	Safe                      bool
}

// healthHolder is one slot of health --json.
type healthHolder struct {
	Peer     string
	Slot     int
	Proved   bool
	Reported int // how many members report it as the holder
}

type healthResult struct {
	K, R, N, Reachable, Needed int
	Safe                       bool
	Holders                    []healthHolder
}

type inviteResult struct{ Text string }

type networkResult struct{ Nodes int }

// file writes a file of random bytes, reproducible by the test's seed.
func (w *town) file(name string, size int64) (path string, sum [32]byte) {
	w.t.Helper()
	path = filepath.Join(w.Dir(), name)
	f, err := os.Create(path)
	if err != nil {
		w.t.Fatal(err)
	}
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(w.noise(), size)); err != nil {
		w.t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		w.t.Fatal(err)
	}
	return path, [32]byte(h.Sum(nil))
}

// noise is an endless stream of random bytes.
func (w *town) noise() io.Reader {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(w.rng.Uint32())
	}
	return rand.NewChaCha8(seed)
}

// put stores a file and checks what put says of it.
func (p *person) put(path string, args ...string) putResult {
	p.t.Helper()
	var r putResult
	p.ok(&r, "", append([]string{"put", path}, args...)...)
	return r
}

// get fetches a link and compares.
func (p *person) get(link string, want [32]byte) time.Duration {
	p.t.Helper()
	begun := time.Now()
	r := p.run(link+"\n", "cat", "-")
	took := time.Since(begun)
	if r.Code != 0 {
		p.t.Fatalf("cairn cat: exit status %d: %s", r.Code, r.Stderr)
	}
	if got := sha256.Sum256(r.Stdout); got != want {
		p.t.Fatalf("%d bytes came back, and they are others", len(r.Stdout))
	}
	return took
}

// holders returns the nodes that hold a link's content, by slot.
func (p *person) holders(link string) (healthResult, []*launch.Node) {
	p.t.Helper()
	var h healthResult
	p.ok(&h, link+"\n", "health", "-")
	nodes := make([]*launch.Node, h.N)
	for _, o := range h.Holders {
		if n := p.Node(o.Peer); n != nil {
			nodes[o.Slot] = n
		}
	}
	return h, nodes
}

func (w *town) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func contains(b []byte, text string) bool { return bytes.Contains(b, []byte(text)) }
