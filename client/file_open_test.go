package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// republish puts a manifest behind the link.
func (w *world) republish(seq int64, m *protocol.Manifest) {
	w.t.Helper()
	b, err := m.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.target = protocol.Target{Extent: w.store(b, 0)[0]}
	w.publish(seq, time.Time{}, w.profile.N)
}

func TestEmptyFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 80, small, 0, 0)
		w.announce()
		w.mustRead(time.Second)
		f, err := w.client.Open(t.Context(), w.link)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.ReadAt(t.Context(), make([]byte, 1), 0); n != 0 || err != io.EOF {
			t.Errorf("%d bytes, %v", n, err)
		}
		if _, err := f.ReadAt(t.Context(), nil, -1); err == nil {
			t.Error("a negative offset is read")
		}
	})
}

// TestHostileManifests checks that a file that is not exactly its extents never
// opens, or gives an error before a false byte.
func TestHostileManifests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 81, small, 600<<10, 200<<10)
		w.announce()
		seq := int64(2)
		try := func(name string, change func(m *protocol.Manifest)) {
			m := &protocol.Manifest{Name: "a file", Size: int64(len(w.content)), Extents: append([]protocol.Extent(nil), w.extents...)}
			change(m)
			w.republish(seq, m)
			seq++
			b, err := w.readAll(t.Context())
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v", name, err)
			}
			if !bytes.HasPrefix(w.content, b) {
				t.Errorf("%s: false bytes", name)
			}
		}
		try("truncated", func(m *protocol.Manifest) { m.Extents = m.Extents[:2] })
		try("extended", func(m *protocol.Manifest) { m.Extents = append(m.Extents, m.Extents[0]) })
		try("size", func(m *protocol.Manifest) { m.Size++ })
		try("key", func(m *protocol.Manifest) { m.Extents[1].Key[0] ^= 1 })
		try("offset", func(m *protocol.Manifest) { m.Extents[1].Offset = 64 })
		try("beyond the segment", func(m *protocol.Manifest) { m.Extents[2].Offset = 1 << 20 })
		try("length no extent has", func(m *protocol.Manifest) { m.Extents[0].Length = 40 })
		try("no manifest", func(m *protocol.Manifest) { m.Extents, m.Depth = m.Extents[:1], 1 })
	})
}

// TestPages reads a manifest of two levels of pages.
func TestPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 82, protocol.Profile{K: 1, R: 1, N: 1}, 20_000, 1000)
		w.announce()
		w.net.latency = time.Millisecond
		level := w.extents
		for depth := range 2 {
			var above []protocol.Extent
			for len(level) > 0 {
				n := min(3, len(level))
				above = append(above, w.page(depth, level[:n]))
				level = level[n:]
			}
			level = above
		}
		w.republish(2, &protocol.Manifest{Name: "a file", Size: 20_000, Depth: 2, Extents: level})
		w.mustRead(time.Second)
		h, err := w.newClient().Health(t.Context(), w.link)
		if err != nil || h.Segments != 20+7+3+1 || h.Lost() {
			t.Errorf("%+v, %v", h, err)
		}
		w.republish(3, &protocol.Manifest{Name: "a file", Size: 20_000, Depth: 1, Extents: level})
		if _, err := w.readAll(t.Context()); !errors.Is(err, ErrDamaged) {
			t.Errorf("pages of the wrong depth: %v", err)
		}
	})
}

// TestRangeTouchesFew reads 1 MiB in the middle of full segments.
func TestRangeTouchesFew(t *testing.T) {
	if testing.Short() {
		t.Skip("seals 32 MiB")
	}
	w := newWorld(t, 83, middle, 40<<20, 0)
	w.announce()
	w.mustBeQuick()
	f, err := w.client.Open(t.Context(), w.link)
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<20)
	for i := range 40 {
		off := w.rng.Int64N(int64(len(w.content) - len(b)))
		for pass := range 2 {
			w.resetGets()
			if _, err := f.ReadAt(t.Context(), b, off); err != nil || !bytes.Equal(b, w.content[off:off+1<<20]) {
				t.Fatalf("read %d at %d: %v", i, off, err)
			}
			// The first read of an extent also compares its commitment, which
			// lies with the holder of slot 0.
			if n := w.touched(); n > 3-pass {
				t.Errorf("read %d, pass %d, at %d touched %d holders", i, pass, off, n)
			}
		}
	}
}

// mustBeQuick keeps requests that a loaded machine makes late out of the counts.
func (w *world) mustBeQuick() {
	for range recentSize {
		w.client.peers.ok("somebody", 1, 10*time.Second)
	}
}

func TestReadIsCalledOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 84, middle, 3<<20, 300<<10)
		w.announce()
		f, err := w.client.Open(t.Context(), w.link)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		begun := time.Now()
		err = f.WriteTo(ctx, io.Discard, func(done, _ int64) {
			if done > 500<<10 {
				w.spoil(7, frozen)
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) || time.Since(begun) > time.Second {
			t.Errorf("%v after %s", err, time.Since(begun))
		}
		for _, h := range w.holders {
			h.set(healthy)
		}
		// A full disk ends it as well.
		err = f.WriteTo(t.Context(), brokenWriter{}, nil)
		if !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("%v", err)
		}
	})
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
