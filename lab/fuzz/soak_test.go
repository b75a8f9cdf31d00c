package fuzz

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// watched is a test that may fail without this one failing.
type watched struct {
	testing.TB
	failed bool
	said   strings.Builder
}

func (*watched) Name() string { return "FuzzPlanted" }
func (w *watched) Failed() bool {
	return w.failed
}
func (w *watched) FailNow()                   { w.failed = true; runtime.Goexit() }
func (w *watched) Logf(form string, a ...any) { fmt.Fprintf(&w.said, form+"\n", a...) }
func (w *watched) Fatalf(form string, a ...any) {
	w.Logf(form, a...)
	w.FailNow()
}

// soaked soaks a body in an empty folder until it ends or fails.
func soaked(t *testing.T, executions uint64, corpus []input, call func(*T, input)) (*soak, *watched) {
	t.Helper()
	t.Chdir(t.TempDir())
	w := &watched{TB: t}
	s := newSoak(w, options{executions: executions, seed: 1}, corpus, call)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer func() { _ = recover() }() // a planted panic
		s.run()
	}()
	<-ended
	return s, w
}

var someMap = append([]byte{0xa2, 0x61, 'a', 0x45, 1, 2, 3, 4, 5, 0x61, 'b', 0x82, 0x18, 99}, 0x42, 0xa1, 0xf6)

func TestSoakCountsDifferentInputs(t *testing.T) {
	const want = 50_000
	runs := make(map[string]int)
	corpus := input{someMap, uint8(1)}
	s, w := soaked(t, want, []input{corpus}, func(t *T, in input) {
		runs[fmt.Sprint(in)]++
		for range 2 {
			t.Frugal(1<<30, func() {})
		}
	})
	delete(runs, fmt.Sprint(corpus))
	if w.failed || s.ran < want || s.ran > want+2*maxBatch || s.ran != 2*s.fresh || s.fresh != uint64(len(runs)) {
		t.Errorf("%d executions on %d inputs; really %d inputs\n%s", s.ran, s.fresh, len(runs), w.said.String())
	}
	for in, n := range runs {
		if n > 1 {
			t.Fatalf("%d times: %s", n, in)
		}
	}
	if !strings.Contains(w.said.String(), fmt.Sprintf("%d executions on %d different inputs", s.ran, s.fresh)) {
		t.Error(w.said.String())
	}
}

// Accepted inputs become seeds, so that a soak reaches inputs many changes away
// from the corpus.
func TestSoakBuildsOnWhatIsAccepted(t *testing.T) {
	longest := func(accept bool) (most int) {
		soaked(t, 20_000, []input{{[]byte{0x80}}}, func(t *T, in input) {
			t.Frugal(1<<30, func() {})
			b := in[0].([]byte)
			if items := scan(b, nil); len(items) == 0 || items[0].major != majorArray || items[0].end != len(b) || len(items) != 1+int(items[0].arg) {
				return // only an array of plain items counts
			}
			most = max(most, len(b))
			if accept {
				t.Accepted()
			}
		})
		return most
	}
	if alone, built := longest(false), longest(true); built < 2*alone {
		t.Errorf("the longest array has %d bytes, and %d without telling", built, alone)
	}
}

func TestSoakEndsWhereInputsDo(t *testing.T) {
	s, _ := soaked(t, 1<<40, []input{{uint8(1)}}, func(t *T, _ input) { t.Frugal(1<<30, func() {}) })
	if s.ran < 200 || s.ran > 256 {
		t.Errorf("%d executions on the 256 inputs that there are", s.ran)
	}
}

func TestSoakKeepsWhatFails(t *testing.T) {
	planted := []byte{0x45, 1, 2}
	for name, fail := range map[string]func(*T){
		"failure": func(t *T) { t.Fatalf("planted") },
		"panic":   func(*T) { panic("planted") },
		"greed":   func(t *T) { t.Frugal(1<<20, func() { kept = make([]byte, 2<<20) }) },
	} {
		t.Run(name, func(t *testing.T) {
			var last []byte
			soaked(t, 1<<20, []input{{someMap, int64(7)}}, func(t *T, in input) {
				if b := in[0].([]byte); !bytes.Contains(b, planted) {
					last = bytes.Clone(b)
					fail(t)
				}
				t.Frugal(1<<20, func() {})
			})
			files, _ := filepath.Glob("testdata/fuzz/FuzzPlanted/*")
			if len(files) != 1 {
				t.Fatalf("%d inputs kept", len(files))
			}
			text, err := os.ReadFile(files[0])
			if err != nil {
				t.Fatal(err)
			}
			if want := fmt.Sprintf("go test fuzz v1\n[]byte(%q)\nint64(", last); !strings.HasPrefix(string(text), want) {
				t.Errorf("kept %s\nnot %s", text, want)
			}
		})
	}
}

var kept []byte // so that it is allocated

// A batch that allocates more in all than one execution may is told from a batch
// in which a single execution does.
func TestSoakMeasuresBatches(t *testing.T) {
	_, w := soaked(t, 2_000, []input{{someMap}}, func(t *T, _ input) {
		t.Frugal(1<<20, func() { kept = make([]byte, 600<<10) })
	})
	if w.failed {
		t.Error(w.said.String())
	}
}
