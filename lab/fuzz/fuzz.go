// Package fuzz runs one body of a fuzz target in two ways: under Go's fuzzing
// engine, which is guided by coverage and spends most of its time on that, and
// as a soak (Variable), which runs it on millions of mutants of the target's
// corpus in one goroutine of one process.
//
// A soak counts executions of decoders: each call of T.Frugal is one. It tries no
// input twice. What it tries follows from CAIRN_SEED; an input that fails is
// written to testdata/fuzz, as the engine does.
package fuzz

import (
	"bytes"
	"reflect"
	"runtime/metrics"
	"slices"
	"testing"
)

// T is what the body of a target is handed: a test, and how memory is watched.
type T struct {
	testing.TB
	batch *batch // nil: every Frugal measures
}

// Helper does nothing: marking a frame takes longer than most decoders do.
func (*T) Helper() {}

// Frugal runs f and fails if f allocates more than most bytes. What others have
// allocated is sometimes booked late and counted here, too, so f is run several
// times and the smallest figure counts: f must be repeatable.
//
// Within a soak f runs once and counts as one execution. What a batch of
// executions allocates together is compared with the smallest of their limits: if
// the sum is within it, so is each execution. Otherwise every execution of the
// batch is measured by itself.
func (t *T) Frugal(most uint64, f func()) {
	if t.batch != nil {
		t.batch.least = min(t.batch.least, most)
		t.batch.ran++
		f()
		return
	}
	var spent uint64
	for range 4 {
		before := Allocated()
		f()
		if spent = Allocated() - before; spent <= most {
			return
		}
	}
	t.TB.Fatalf("it allocates %d bytes, more than %d", spent, most)
}

// Accepted says that the decoder accepts the input. A soak changes such inputs
// more often: an input that is wrong already is mostly refused for that alone.
func (t *T) Accepted() {
	if t.batch != nil {
		t.batch.accepted = true
	}
}

// Allocated returns how many bytes this process has allocated so far. The last
// ones may be missing: the runtime books them late, for speed.
func Allocated() uint64 {
	s := [1]metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s[:])
	return s[0].Value.Uint64()
}

// Run is f.Fuzz for a body of one argument: []byte, string or int64.
func Run[A any](f *testing.F, body func(*T, A)) {
	f.Helper()
	run(f, func(t *testing.T, a A) { body(&T{TB: t}, a) },
		func(t *T, in input) { body(t, in[0].(A)) })
}

// Run2 is Run for a body of two arguments.
func Run2[A, B any](f *testing.F, body func(*T, A, B)) {
	f.Helper()
	run(f, func(t *testing.T, a A, b B) { body(&T{TB: t}, a, b) },
		func(t *T, in input) { body(t, in[0].(A), in[1].(B)) })
}

// Run3 is Run for a body of three arguments.
func Run3[A, B, C any](f *testing.F, body func(*T, A, B, C)) {
	f.Helper()
	run(f, func(t *testing.T, a A, b B, c C) { body(&T{TB: t}, a, b, c) },
		func(t *T, in input) { body(t, in[0].(A), in[1].(B), in[2].(C)) })
}

// input is the arguments of one execution.
type input []any

func run(f *testing.F, engine any, call func(*T, input)) {
	f.Helper()
	o, err := fromEnvironment()
	if err != nil {
		f.Fatal(err)
	}
	if o.executions == 0 {
		f.Fuzz(engine)
		return
	}
	corpus := collect(f, engine)
	if len(corpus) == 0 {
		f.Fatal("soak: nothing to begin with")
	}
	newSoak(f, o, corpus, call).run()
}

// collect runs the whole corpus, including what is in testdata, and returns it in
// a fixed order: seeds may come out of a map.
func collect(f *testing.F, engine any) (corpus []input) {
	f.Helper()
	body := reflect.ValueOf(engine)
	f.Fuzz(reflect.MakeFunc(body.Type(), func(args []reflect.Value) []reflect.Value {
		var in input
		for _, a := range args[1:] {
			in = append(in, a.Interface())
		}
		corpus = append(corpus, in)
		return body.Call(args)
	}).Interface())
	slices.SortFunc(corpus, func(a, b input) int { return bytes.Compare(corpusFile(a), corpusFile(b)) })
	return corpus
}
