package client

import (
	"io"
	"runtime"
	"testing"

	"github.com/cairnstore/cairn/protocol"
)

// longFile makes a file of count full segments, all the same one: the holders need
// memory for only one.
func longFile(t testing.TB, p protocol.Profile, count int) *world {
	w := newWorld(t, 110, p, 1000, 0)
	w.announce()
	plain := make([]byte, 0, protocol.SegmentSize(p.K))
	for len(plain) < cap(plain)-64<<10 {
		plain = append(plain, w.content...)
	}
	e := w.store(plain, 0)[0]
	m := &protocol.Manifest{Name: "long", Size: int64(count * len(plain))}
	for range count {
		m.Extents = append(m.Extents, e)
	}
	w.republish(2, m)
	return w
}

// TestMemoryIsBounded reads half a gigabyte, healthy and from parity alone.
func TestMemoryIsBounded(t *testing.T) {
	if testing.Short() {
		t.Skip("moves a gigabyte")
	}
	// Two segments of 16 MiB and the next one's first shards; parity where it is
	// decoded; and what the garbage collector has not freed yet.
	for _, tc := range []struct {
		name  string
		gone  int
		limit uint64
	}{{"healthy", 0, 80 << 20}, {"parity", 4, 128 << 20}} {
		t.Run(tc.name, func(t *testing.T) {
			w := longFile(t, middle, 32)
			for _, h := range w.holders[:tc.gone] {
				h.set(dead)
			}
			f, err := w.client.Open(t.Context(), w.link)
			if err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			base, peak, next := heap(), uint64(0), int64(0)
			err = f.WriteTo(t.Context(), io.Discard, func(done, _ int64) {
				if done > next {
					next = done + 4<<20
					peak = max(peak, heap())
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d MiB above the holders' own %d", (peak-base)>>20, base>>20)
			if peak-base > tc.limit {
				t.Errorf("%d bytes of memory, more than %d", peak-base, tc.limit)
			}
		})
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// BenchmarkRead reads through pipes in memory: what the reader itself costs.
func BenchmarkRead(b *testing.B) {
	for name, gone := range map[string]int{"healthy": 0, "oneGone": 1, "parity": 4} {
		b.Run(name, func(b *testing.B) {
			w := longFile(b, middle, 8)
			w.mustBeQuick()
			for _, h := range w.holders[:gone] {
				h.set(dead)
			}
			f, err := w.client.Open(b.Context(), w.link)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(f.Size)
			b.ReportAllocs()
			for b.Loop() {
				if err := f.WriteTo(b.Context(), io.Discard, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadAt(b *testing.B) {
	for name, size := range map[string]int{"4KiB": 4 << 10, "1MiB": 1 << 20} {
		b.Run(name, func(b *testing.B) {
			w := longFile(b, middle, 8)
			w.mustBeQuick()
			f, err := w.client.Open(b.Context(), w.link)
			if err != nil {
				b.Fatal(err)
			}
			p := make([]byte, size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := f.ReadAt(b.Context(), p, w.rng.Int64N(f.Size-int64(size))); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
