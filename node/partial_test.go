package node

import (
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// What was lent is kept for the next try, once, within a day and within bounds.
func TestPartials(t *testing.T) {
	const size = maxPartial / 4
	l := newPartials()
	k := func(i byte) kin { return kin{protocol.GroupID{1}, protocol.SegmentID{i}} }
	got := func(n int) *collection {
		c := &collection{d: &protocol.Descriptor{ShardSize: size, N: 4}, have: make([][]byte, 4), got: n}
		for i := range n {
			c.have[i] = []byte{byte(i)}
		}
		return c
	}
	l.keep(k(0), got(0), time.Hour)
	l.keep(k(1), got(3), time.Hour)
	l.keep(k(2), got(2), time.Hour)
	l.keep(k(3), got(1), 2*time.Hour)
	for i, want := range []bool{false, true, false, true} {
		if _, ok := l.take(k(byte(i)), time.Minute); ok != want {
			t.Errorf("%d is kept: %v", i, ok)
		}
		if _, again := l.take(k(byte(i)), time.Minute); again {
			t.Errorf("%d is given out twice", i)
		}
	}
	l.keep(k(4), got(4), time.Hour)
	if _, ok := l.take(k(4), time.Hour); ok || l.bytes != 0 {
		t.Errorf("after its day: %v, %d bytes", ok, l.bytes)
	}
}
