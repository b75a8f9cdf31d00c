package client

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// TestTooManyGone takes away one holder more than may be gone: what the reader says
// depends on the mood of these, and nothing false is ever written.
func TestTooManyGone(t *testing.T) {
	for _, tc := range []struct {
		name   string
		moods  []mood
		want   error
		within time.Duration
	}{
		{"dead", []mood{dead}, ErrTooFew, 10 * time.Second},
		{"refusing", []mood{refusing}, ErrTooFew, 10 * time.Second},
		{"frozen", []mood{frozen}, ErrTooFew, 40 * time.Second},
		{"lying", []mood{lying}, ErrDamaged, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 20, protocol.Profile{K: 4, R: 7, N: 10}, 900<<10, 300<<10)
				w.announce()
				f, err := w.client.Open(t.Context(), w.link)
				if err != nil {
					t.Fatal(err)
				}
				w.spoil(7, tc.moods...)
				begun := time.Now()
				var out bytes.Buffer
				err = f.WriteTo(t.Context(), &out, nil)
				if !errors.Is(err, tc.want) {
					t.Errorf("error %v, not %v", err, tc.want)
				}
				if !bytes.Equal(out.Bytes(), w.content[:out.Len()]) {
					t.Error("false bytes written")
				}
				if d := time.Since(begun); d > tc.within {
					t.Errorf("the verdict took %s", d)
				}
			})
		})
	}
}

// TestDyingWhileRead changes holders' moods between segments.
func TestDyingWhileRead(t *testing.T) {
	for seed := range uint64(12) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 40+seed, protocol.Profile{K: 4, R: 7, N: 10}, 2<<20, 200<<10)
			w.net.latency = 10 * time.Millisecond
			w.announce()
			f, err := w.client.Open(t.Context(), w.link)
			if err != nil {
				t.Fatal(err)
			}
			moods := []mood{dead, frozen, lying, refusing, sluggish}
			six := w.rng.Perm(len(w.holders))[:6]
			var out bytes.Buffer
			err = f.WriteTo(t.Context(), &out, func(done, _ int64) {
				// Always the same six, in new moods: if it were others, a segment
				// that is on its way meanwhile could meet more than six bad ones.
				for _, slot := range six {
					w.holders[slot].set([...]mood{healthy, moods[seed%5], frozen}[w.rng.IntN(3)])
				}
			})
			if err != nil || !bytes.Equal(out.Bytes(), w.content) {
				t.Errorf("seed %d: %v", 40+seed, err)
			}
		})
	}
}

// TestFrozenOnce checks that a reader waits for a silent holder in one segment only.
func TestFrozenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 21, protocol.Profile{K: 4, R: 7, N: 10}, 4<<20, 100<<10)
		w.announce()
		f, err := w.client.Open(t.Context(), w.link)
		if err != nil {
			t.Fatal(err)
		}
		w.holders[0].set(frozen)
		begun := time.Now()
		var out bytes.Buffer
		if err := f.WriteTo(t.Context(), &out, nil); err != nil || !bytes.Equal(out.Bytes(), w.content) {
			t.Fatal(err)
		}
		if d := time.Since(begun); d > 2*time.Second {
			t.Errorf("42 segments took %s", d)
		}
	})
}

// TestWrongGuess reads a segment that is far longer than the one known extent in it
// suggests, so that its shape cannot be guessed.
func TestWrongGuess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 22, protocol.Profile{K: 4, R: 7, N: 10}, 2<<20, 0)
		w.announce()
		g, err := w.client.locator().locate(t.Context(), &w.extents[0], nil)
		if err != nil {
			t.Fatal(err)
		}
		e := w.extents[0]
		for _, length := range []int64{1, 100, 200 << 10, 1 << 20} {
			c := w.newClient()
			e.Offset, e.Length = 300<<10, length
			src := c.locator().open(g, &e)
			run, err := src.read(t.Context(), &e, e.Offset, e.Offset+e.Length)
			if err != nil {
				t.Fatalf("%d bytes: %v", length, err)
			}
			got := run.view(e.Offset, length, make([]byte, length))
			if !bytes.Equal(got, w.sealed(e.Segment, e.Offset, length)) {
				t.Errorf("%d bytes: other bytes", length)
			}
		}
		e.Offset, e.Length = 2<<20, 4<<20
		src := w.newClient().locator().open(g, &e)
		if _, err := src.read(t.Context(), &e, e.Offset, e.Offset+e.Length); !errors.Is(err, ErrDamaged) {
			t.Errorf("an extent beyond its segment: %v", err)
		}
	})
}

// sealed returns a segment's bytes as its data holders keep them.
func (w *world) sealed(id protocol.SegmentID, off, n int64) []byte {
	var all []byte
	for _, h := range w.holders[:w.profile.K] {
		all = append(all, h.shards[id].data...)
	}
	return all[off : off+n]
}

func TestMissingShards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 23, small, 100<<10, 0)
		w.announce()
		f, err := w.client.Open(t.Context(), w.link)
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range w.holders[:5] {
			h.edit(func() { h.shards = nil })
		}
		if _, err = f.ReadAt(t.Context(), make([]byte, 10), 0); !errors.Is(err, ErrTooFew) {
			t.Errorf("one shard of two that are needed: %v", err)
		}
		for _, h := range w.holders[2:4] {
			h.edit(func() { h.shards = w.holders[5].shards }) // another slot's
		}
		if _, err = w.newClient().Open(t.Context(), w.link); !errors.Is(err, ErrTooFew) {
			t.Errorf("holders without their shards: %v", err)
		}
	})
}

func TestColumnsCover(t *testing.T) {
	rng := rand.New(rand.NewPCG(24, 24))
	for range 1000 {
		k := 1 + rng.IntN(8)
		sh := shape{k: k, n: 2 * k, shard: 64 * (1 + rng.Int64N(8<<10))}
		lo := rng.Int64N(int64(k) * sh.shard)
		hi := lo + 1 + rng.Int64N(int64(k)*sh.shard-lo)
		run := new(sealedRun)
		slots := map[int]bool{}
		for _, c := range sh.columns(lo, hi) {
			if c.off < 0 || c.length <= 0 || c.off+c.length > sh.shard || c.off%protocol.LeafSize != 0 {
				t.Fatalf("%+v of %+v", c, sh)
			}
			for _, s := range c.slots {
				if slots[s] {
					t.Fatalf("slot %d twice", s)
				}
				slots[s] = true
				run.pieces = append(run.pieces, piece{int64(s)*sh.shard + c.off, make([]byte, c.length)})
			}
		}
		if run.view(lo, hi-lo, make([]byte, hi-lo)) == nil {
			t.Fatalf("[%d, %d) of %+v is not covered", lo, hi, sh)
		}
		if want := (hi-1)/sh.shard - lo/sh.shard + 1; int64(len(slots)) != want {
			t.Fatalf("[%d, %d) of %+v asks %d slots, not %d", lo, hi, sh, len(slots), want)
		}
	}
}

func TestRunViews(t *testing.T) {
	all := make([]byte, 1000)
	_, _ = rngReader{rand.New(rand.NewPCG(25, 1))}.Read(all)
	run := &sealedRun{pieces: []piece{{600, all[600:1000]}, {100, all[100:350]}, {350, all[350:600]}}}
	scratch := make([]byte, 1000)
	for off := int64(100); off < 1000; off += 7 {
		for n := int64(1); off+n <= 1000; n += 13 {
			if !bytes.Equal(run.view(off, n, scratch), all[off:off+n]) {
				t.Fatalf("%d bytes at %d", n, off)
			}
		}
	}
	if run.view(99, 2, scratch) != nil || run.view(999, 2, scratch) != nil {
		t.Error("bytes that were not read")
	}
	if kept := run.releaseBefore(600, newBuffers(0)); kept != 400 || run.view(599, 1, scratch) != nil {
		t.Errorf("%d bytes kept", kept)
	}
}

func TestBuffersAreKeptAndBounded(t *testing.T) {
	b := newBuffers(1 << 20)
	one := b.get(512 << 10)
	b.put(one)
	if got := b.get(300 << 10); &got[0] != &one[0] {
		t.Error("the buffer is not used again")
	}
	for range 10 {
		b.put(make([]byte, 400<<10))
	}
	if b.held > b.most {
		t.Errorf("%d bytes held", b.held)
	}
	b.put(make([]byte, 100))
	if got := b.get(1 << 10); int64(cap(got)) > 2<<10 {
		t.Errorf("a buffer of %d bytes for 1 KiB", cap(got))
	}
}

func TestRank(t *testing.T) {
	now := time.Unix(1000, 0)
	p := newPeers(func() time.Time { return now })
	ids := []peer.ID{"slow", "liar", "down", "fast", "new"}
	p.ok("slow", 10, time.Second)
	p.ok("fast", 10, 10*time.Millisecond)
	p.ok("down", 10, time.Millisecond)
	p.ok("fast", 1<<20, 50*time.Millisecond)
	p.fail("down", errSlow)
	p.lied("liar", errSlow)
	want := []peer.ID{"fast", "new", "slow", "down", "liar"}
	if got := p.rank(ids); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
	if !p.down("down") || !p.down("liar") || p.down("new") {
		t.Error("who is down")
	}
	now = now.Add(firstBackoff)
	if p.down("down") || !p.down("liar") {
		t.Error("a failure is forgotten, a lie is not")
	}
	for range 50 {
		p.fail("down", errSlow)
	}
	now = now.Add(mostBackoff)
	if p.down("down") {
		t.Error("nobody is down for ever")
	}
}
