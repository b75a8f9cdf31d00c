package node

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// A candidate that is off when its shards are made gets them when it is back,
// and nobody has to lend shards for them again.
func TestWhoWasOffIsBroughtWhatWasMade(t *testing.T) {
	for range 5 { // a candidate that is drawn last gets its shards before it can be switched off
		inTime := false
		synctest.Test(t, func(t *testing.T) { inTime = broughtLater(t) })
		if inTime {
			return
		}
	}
	t.Error("each time all candidates were drawn at once")
}

// broughtLater reports whether a candidate could be switched off before it got its
// shards.
func broughtLater(t *testing.T) (inTime bool) {
	const segments, dead, newcomers = 2, 2, 3
	w := newTown(t, profile.N+newcomers)
	defer w.close()
	o, coder, c := w.founded(profile)
	for i := range segments {
		w.putTo(c, o, coder.code(randomBytes(seeded(t, uint64(90+i)), 30_000)), 0, 1, 2, 3, 4, 5)
	}
	c.Close()
	time.Sleep(2 * day)
	w.peers[4].Stop()
	w.peers[5].Stop()
	off := w.firstDrawn(profile.N)
	if w.nodes[off].store.Usage().Shards > 0 {
		return false
	}
	w.peers[off].Stop()
	time.Sleep(12 * time.Hour)
	repaired, lent := w.mended()
	if repaired != (dead-1)*segments {
		t.Fatalf("%d shards were made for who is there, not %d", repaired, (dead-1)*segments)
	}
	w.peers[off].Start()
	time.Sleep(2 * day)
	again, more := w.mended()
	if again != dead*segments || w.nodes[off].store.Usage().Shards != segments {
		t.Errorf("%d shards repaired; who was off has %d", again, w.nodes[off].store.Usage().Shards)
	}
	if more != lent {
		t.Errorf("%d more were lent for them, after %d", more-lent, lent)
	}
	return true
}

// firstDrawn waits until one of the nodes from some on is nominated.
func (w *town) firstDrawn(from int) int {
	w.t.Helper()
	for range 14 * 24 * 60 {
		for i := from; i < len(w.nodes); i++ {
			if w.nodes[i].store.Usage().Groups > 0 {
				return i
			}
		}
		time.Sleep(time.Minute)
	}
	w.t.Fatal("nobody is drawn")
	return -1
}

// mended returns how many shards all nodes have repaired and lent.
func (w *town) mended() (repaired, lent int64) {
	for _, n := range w.nodes {
		repaired, lent = repaired+n.count.repaired.Load(), lent+n.count.lent.Load()
	}
	return repaired, lent
}

// What waits for peers waits for a time, and within bounds.
func TestUndelivered(t *testing.T) {
	l := newUndelivered()
	p := func(i byte) parcel {
		return parcel{kin{protocol.GroupID{1}, protocol.SegmentID{i}}, int(i), peer.ID([]byte{i})}
	}
	shard := make([]byte, maxUndelivered/2)
	shard[0] = 7
	for i := range byte(3) {
		l.keep(p(i), nil, shard, time.Duration(1+i)*time.Hour)
	}
	l.keep(p(0), nil, nil, 9*time.Hour) // kept again: its time is not extended
	shard[0] = 0                        // the buffer is used anew
	if w := l.waiting(0); len(w) != 2 || w[p(0)].shard[0] != 7 {
		t.Fatalf("%d wait", len(w))
	}
	if w := l.waiting(time.Hour); len(w) != 1 || l.bytes != maxUndelivered/2 {
		t.Errorf("%d wait after an hour, %d bytes", len(w), l.bytes)
	}
	l.drop(p(1))
	if l.drop(p(1)); l.bytes != 0 || len(l.waiting(0)) > 0 {
		t.Errorf("%d bytes", l.bytes)
	}
}

// A shard is kept for a peer that was not reached, not for one that said no, or keeps
// others waiting.
func TestUnreached(t *testing.T) {
	reset := errors.New("stream reset")
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{protocol.ErrUnreachable, true},
		{fmt.Errorf("open stream: %w: %w", protocol.ErrUnreachable, context.DeadlineExceeded), true},
		{reset, true},
		{protocol.Refuse(protocol.CodeFull, "no"), false},
		{fmt.Errorf("put: %w", context.DeadlineExceeded), false},
		{context.Canceled, false},
	} {
		if got := unreached(c.err); got != c.want {
			t.Errorf("%v: %v", c.err, got)
		}
	}
}
