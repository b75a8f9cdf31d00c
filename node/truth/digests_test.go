package truth

import (
	"math/rand/v2"
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

func TestHavePagesFitTheirFrame(t *testing.T) {
	r := rand.NewChaCha8([32]byte{32})
	g := New(protocol.GroupID{}, 0, nil)
	for range 9000 { // in one bucket, as a mad owner could grind them
		var h protocol.Hash
		_, _ = r.Read(h[:]) // never fails
		h[0] = 7
		g.ids[h] = 0
	}
	for b := range protocol.Buckets {
		g.ids[protocol.Hash{byte(b), 1}] = 0
	}
	all := make([]int, protocol.Buckets)
	for i := range all {
		all[i] = i
	}
	var seen int
	for rest := all; len(rest) > 0; {
		room := listRoom
		names, done := fillPage(g.buckets(digestFacts, rest), rest, &room)
		if done == 0 {
			t.Fatalf("no progress at bucket %d", rest[0])
		}
		m := &protocol.HaveReply{FactDigests: g.digestsOf(digestFacts), SegmentDigests: g.digestsOf(digestFacts), Facts: names, Held: make([]bool, protocol.MaxGroupSegments)}
		b, err := protocol.Encode(m)
		if err != nil || len(b) > m.MaxLen() {
			t.Fatalf("page of %d bytes, %v", len(b), err)
		}
		if err := protocol.ParseMessage(b, new(protocol.HaveReply)); err != nil {
			t.Fatal(err)
		}
		seen += len(names)
		rest = rest[done:]
	}
	if seen != 255+listRoom {
		t.Errorf("%d names seen", seen)
	}
}
