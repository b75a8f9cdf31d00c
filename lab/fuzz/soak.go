package fuzz

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"testing"
	"time"
)

// The environment variables that ask for a soak and seed it.
const (
	Variable     = "CAIRN_SOAK" // executions of each target; Fuzz tests that go test runs become soaks
	seedVariable = "CAIRN_SEED"
)

// maxBatch is for how many executions together memory is measured.
const maxBatch = 64

// window is after how many mutants a soak looks back at how many of them were
// new: if fewer than three of four were, the next ones get more changes each.
const window = 1 << 13

// collectAt is how much garbage there may be for each byte in use, in percent.
// Hardly anything is in use, so at the default the collector would run all the
// time.
const collectAt = 400

type options struct {
	executions uint64 // 0: no soak
	seed       uint64
}

func fromEnvironment() (o options, err error) {
	if o.executions, err = number(Variable); err != nil || o.executions == 0 {
		return o, err
	}
	o.seed, err = number(seedVariable) // only for a soak: other tests read it, too, in ways of their own
	return o, err
}

// number reads a variable; 0 stands for none.
func number(variable string) (uint64, error) {
	text := os.Getenv(variable)
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", variable, err)
	}
	return n, nil
}

// batch is the account of some executions that are measured together.
type batch struct {
	least    uint64 // the least limit of any, in bytes
	ran      uint64
	accepted bool // the last input
	good     []input
}

// soak is one target on its way through its mutants.
type soak struct {
	f       testing.TB
	options options
	mutants *mutants
	call    func(*T, input)
	seen    seen

	tried   uint64 // mutants
	fresh   uint64 // of these, new ones
	ran     uint64 // executions on fresh ones
	size    uint64 // of the next batch, in mutants
	current input  // what is being executed
}

func newSoak(f testing.TB, o options, corpus []input, call func(*T, input)) *soak {
	return &soak{f: f, options: o, mutants: newMutants(o.seed, corpus), call: call, seen: newSeen(), size: maxBatch}
}

// run executes the target as often as it is asked to, or until hardly any
// mutant is a new one, and logs how often that was and what it took.
func (s *soak) run() {
	defer debug.SetGCPercent(debug.SetGCPercent(collectAt))
	defer s.report()
	began, cpu := time.Now(), ownCPU()
	s.learn()
	for s.ran < s.options.executions {
		before := s.fresh
		s.window()
		if fresh := s.fresh - before; fresh < window/16 {
			break
		} else if fresh < window*3/4 {
			s.mutants.more()
		}
	}
	s.f.Logf("soak: %d executions on %d different inputs (of %d mutants, seed %d) in %.1f s of processor time, %.1f s in all",
		s.ran, s.fresh, s.tried, s.options.seed, (ownCPU() - cpu).Seconds(), time.Since(began).Seconds())
}

// learn finds out which seeds are accepted. These executions do not count.
func (s *soak) learn() {
	b := new(batch)
	for _, in := range s.mutants.corpus {
		s.seen.first(in)
		s.execute(&T{TB: s.f, batch: b}, in)
	}
	s.mutants.adopt(b.good)
}

// window tries some mutants in batches, and tries them again one by one where a
// batch allocates too much to tell whether each execution was within its limit.
func (s *soak) window() {
	end := s.tried + window
	for s.tried < end && s.ran < s.options.executions {
		from := s.tried
		b, frugal := s.batch(min(s.size, end-from))
		s.size = min(2*s.size, maxBatch)
		if !frugal {
			s.size = max(s.size/4, 1)
			s.measure(from, s.tried)
		}
		s.mutants.adopt(b.good) // not before: measure must meet the same mutants
	}
}

// batch runs those of the next mutants that were not seen before, and reports
// whether together they allocated no more than each of them may.
func (s *soak) batch(size uint64) (b *batch, frugal bool) {
	b = &batch{least: math.MaxUint64}
	t := &T{TB: s.f, batch: b}
	before := Allocated()
	for range size {
		in := s.mutants.at(s.tried)
		s.tried++
		if s.seen.first(in) {
			s.fresh++
			s.execute(t, in)
		}
	}
	s.ran += b.ran
	return b, Allocated()-before <= b.least
}

// measure runs some mutants again, each measured by itself.
func (s *soak) measure(from, to uint64) {
	for i := from; i < to; i++ {
		s.execute(&T{TB: s.f}, s.mutants.at(i))
	}
}

func (s *soak) execute(t *T, in input) {
	s.current = in
	s.call(t, in)
	if s.f.Failed() {
		s.f.FailNow()
	}
	s.current = nil
	if t.batch != nil && t.batch.accepted {
		t.batch.accepted = false
		t.batch.good = append(t.batch.good, clone(in))
	}
}

// report writes the input on which the body panicked or failed to where go test
// finds it again.
func (s *soak) report() {
	if s.current == nil {
		return
	}
	text := corpusFile(s.current)
	path := filepath.Join("testdata", "fuzz", s.f.Name(), fmt.Sprintf("%x", sha256.Sum256(text))[:16])
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, text, 0o644)
	}
	// A panic that is under way would swallow what the test logs.
	fmt.Fprintf(os.Stderr, "soak: %s fails on mutant %d of seed %d, %s (%v)\n", s.f.Name(), s.tried-1, s.options.seed, path, err)
}

// corpusFile writes an input in the format of testdata/fuzz.
func corpusFile(in input) []byte {
	out := []byte("go test fuzz v1\n")
	for _, v := range in {
		switch v := v.(type) {
		case []byte:
			out = fmt.Appendf(out, "[]byte(%q)\n", v)
		case string:
			out = fmt.Appendf(out, "string(%q)\n", v)
		default:
			out = fmt.Appendf(out, "%T(%d)\n", v, v)
		}
	}
	return out
}
