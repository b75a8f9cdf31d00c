//go:build unix

package integration

import (
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cairnstore/cairn/lab/launch"
)

// A campaign against nonces: how many puts of how large a source, most of them
// killed.
const (
	nonceRounds = 14
	nonceSource = 20 << 20
	auditLine   = 64 + 1 + 64 + 1 + 2 // bytes of its shortest line
)

// TestNoncesOfKilledPuts kills puts at random moments and repeats them with a
// source that has changed meanwhile, its size, time and inode the same, while
// holders hang, die and come back. A build of the program notes each sealing:
// no key and counter may ever seal two texts.
func TestNoncesOfKilledPuts(t *testing.T) {
	slow(t)
	audit := filepath.Join(t.TempDir(), "audit")
	w := newTown(t, 8, launch.Config{
		Binary: program(t, "cmd/cairn", "-tags", "nonceaudit"), Env: []string{"CAIRN_NONCE_AUDIT=" + audit},
	})
	w.settle(8)
	a := w.newcomer("a")
	path, _ := w.file("x.bin", nonceSource)
	killed := 0
	for round := range nonceRounds {
		w.change(path)
		trouble := w.Nodes()[1+w.rng.IntN(7)]
		w.trouble(trouble, round)
		if a.cutOff(path, audit) {
			killed++
		}
		w.relieve(trouble)
	}
	if killed < nonceRounds/2 {
		t.Errorf("only %d of %d puts were killed in time", killed, nonceRounds)
	}
	w.change(path)
	late := w.Nodes()[3]
	w.must(late.Freeze()) // its shards are late
	source, err := os.ReadFile(path)
	w.must(err)
	res := a.put(path, "--wait", "3s")
	w.must(late.Thaw())
	w.newcomer("b").get(res.Link, sha256.Sum256(source))
	if again := a.put(path); again.Link == res.Link {
		t.Error("two puts of the same bytes gave one link: a put is never convergent")
	}
	b, err := os.ReadFile(audit)
	w.must(err)
	found, err := readAudit(string(b))
	w.must(err)
	t.Logf("seed %d: %d puts killed, %d sealings under %d keys", w.seed, killed, found.lines, len(found.keys))
	for _, use := range found.repeated {
		t.Errorf("two texts were sealed under one key and counter: %s", use)
	}
	if found.lines < nonceSource/(256<<10) || len(found.keys) < killed {
		t.Error("the audit misses sealings")
	}
}

// change writes into a file and puts its time back.
func (w *town) change(path string) {
	w.t.Helper()
	info, err := os.Stat(path)
	w.must(err)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	w.must(err)
	for range 40 {
		page := make([]byte, 1+w.rng.IntN(60_000))
		fill(w.rng, page)
		_, err := f.WriteAt(page, w.rng.Int64N(info.Size()-int64(len(page))))
		w.must(err)
	}
	w.must(f.Close())
	w.must(os.Chtimes(path, info.ModTime(), info.ModTime()))
}

func fill(rng *rand.Rand, b []byte) {
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
}

// trouble makes a node slow or dead for a round, or lets it be.
func (w *town) trouble(n *launch.Node, round int) {
	w.t.Helper()
	switch round % 3 {
	case 0:
		w.must(n.Freeze())
	case 1:
		w.must(n.Kill())
	}
}

func (w *town) relieve(n *launch.Node) {
	w.t.Helper()
	if !n.Running() {
		w.must(n.Restart(w.ctx))
		return
	}
	w.must(n.Thaw())
}

// cutOff starts a put and kills it when it has sealed a random amount. Half of
// the time the source changes while it is read. It reports whether the put was
// killed before it ended.
func (p *person) cutOff(path, audit string) bool {
	p.t.Helper()
	before := sizeOf(audit)
	parts := int64(nonceSource / (256 << 10))
	until := before + auditLine*(1+p.rng.Int64N(parts))
	changes := p.rng.IntN(2) == 0
	r := p.start(nil, "put", path, "--wait", "3s", "--quiet")
	p.await("a put seals so much", func() bool { return sizeOf(audit) >= until || !r.running() })
	if changes {
		p.change(path)
	}
	running := r.running()
	_ = r.Process.Kill()
	p.end(r)
	return running
}

func sizeOf(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

// sealings are the lines of an audit: by key and counter, the text's hash.
type sealings struct {
	lines    int
	keys     map[string]bool
	texts    map[string]string
	repeated []string // keys and counters that sealed two texts
}

// readAudit reads an audit, or says which line is none.
func readAudit(text string) (*sealings, error) {
	s := &sealings{keys: make(map[string]bool), texts: make(map[string]string)}
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) != 3 || len(f[0]) != 64 || len(f[2]) != 64 || !strings.HasSuffix(line, "\n") {
			return nil, fmt.Errorf("line %d is %q", s.lines+1, line)
		}
		s.lines++
		s.keys[f[0]] = true
		use := f[0] + " " + f[1]
		if old, known := s.texts[use]; known && old != f[2] {
			s.repeated = append(s.repeated, use)
		}
		s.texts[use] = f[2]
	}
	return s, nil
}

// TestAuditIsRead shows that two texts under one key and counter are seen.
func TestAuditIsRead(t *testing.T) {
	line := func(key, counter int, text string) string {
		return fmt.Sprintf("%064x %d %s\n", key, counter, strings.Repeat(text, 64))
	}
	good := line(1, 0, "a") + line(1, 1, "b") + line(2, 0, "b") + line(1, 0, "a")
	s, err := readAudit(good)
	if err != nil || s.lines != 4 || len(s.keys) != 2 || len(s.repeated) != 0 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = readAudit(good + line(2, 0, "c")); err != nil || len(s.repeated) != 1 {
		t.Errorf("a repetition is not seen: %+v, %v", s, err)
	}
	if _, err = readAudit(good[:len(good)-1]); err == nil {
		t.Error("a torn line is not seen")
	}
}
