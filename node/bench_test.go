package node

import (
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

// BenchmarkSurvey starts a node over 1,000 groups of 100 grants each.
func BenchmarkSurvey(b *testing.B) {
	w := newWorld(b, 92, nil)
	for range 1000 {
		o := w.newOwner().found()
		facts := make([]protocol.Fact, 100)
		for i := range facts {
			facts[i] = fact(protocol.FactGrant, protocol.SignGrant(o.key, network, o.id, randomBytes(w.r, 32), 1))
		}
		o.must(facts...)
	}
	for b.Loop() {
		w.restart()
	}
}

// BenchmarkLoadGroup loads the state of a full group.
func BenchmarkLoadGroup(b *testing.B) {
	w := newWorld(b, 93, nil)
	o := w.newOwner().found()
	for range protocol.MaxGroupSegments / 512 {
		facts := make([]protocol.Fact, 512)
		for i := range facts {
			facts[i] = fact(protocol.FactGrant, protocol.SignGrant(o.key, network, o.id, randomBytes(w.r, 32), 1))
		}
		o.must(facts...)
	}
	b.ReportAllocs()
	for b.Loop() {
		g, err := w.node.loadGroup(b.Context(), o.id)
		if err != nil {
			b.Fatal(err)
		}
		if _, granted := g.GrantedNow(); granted != protocol.MaxGroupSegments {
			b.Fatalf("%d segments", granted)
		}
		b.ReportMetric(float64(g.Size()), "state-bytes")
	}
}
