package client

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
)

// memoryFile is a PartialFile that fails when it is out of room.
type memoryFile struct {
	b    []byte
	room int // bytes; 0: no end
}

var errFull = errors.New("no space left")

func (m *memoryFile) ReadAt(p []byte, off int64) (int, error) {
	if off >= int64(len(m.b)) {
		return 0, io.EOF
	}
	n := copy(p, m.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (m *memoryFile) WriteAt(p []byte, off int64) (int, error) {
	if m.room > 0 && int(off)+len(p) > m.room {
		return 0, errFull
	}
	if grow := int(off) + len(p) - len(m.b); grow > 0 {
		m.b = append(m.b, make([]byte, grow)...)
	}
	return copy(m.b[off:], p), nil
}

// partialWorld is a file of three extents with odd lengths, and a whole partial
// file of it.
func partialWorld(t *testing.T) (w *world, data, tags *memoryFile) {
	w = newWorld(t, 77, protocol.Profile{K: 2, R: 4, N: 6}, 2<<20+12345, 800<<10)
	w.announce()
	data, tags = new(memoryFile), new(memoryFile)
	if had := resumeIn(t, w, data, tags); had != 0 {
		t.Fatalf("%d bytes were there before any came", had)
	}
	return w, data, tags
}

func resumeIn(t *testing.T, w *world, data, tags *memoryFile) int64 {
	t.Helper()
	f, err := w.newClient().Open(t.Context(), w.link)
	if err != nil {
		t.Fatal(err)
	}
	last := int64(-1)
	had, err := f.Resume(t.Context(), Partial{data, tags}, func(done, total int64) {
		if done < last || total != f.Size {
			t.Errorf("progress %d of %d after %d", done, total, last)
		}
		last = done
	})
	if err != nil || last != f.Size {
		t.Fatalf("%d of %d: %v", last, f.Size, err)
	}
	if !bytes.Equal(data.b[:f.Size], w.content) {
		t.Fatal("other bytes")
	}
	return had
}

// Parts that are whole are proved without fetching a byte; those that are damaged,
// torn, short or swapped are fetched again, and nothing else.
func TestResume(t *testing.T) {
	const part = seal.PartSize
	for name, tc := range map[string]struct {
		harm func(data, tags *memoryFile)
		lost int64 // bytes that must come again
	}{
		"whole":            {func(*memoryFile, *memoryFile) {}, 0},
		"longer":           {func(d, _ *memoryFile) { d.b = append(d.b, "more"...) }, 0},
		"a byte":           {func(d, _ *memoryFile) { d.b[part+5] ^= 1 }, part},
		"a tag":            {func(_, tg *memoryFile) { tg.b[16] ^= 1 }, part},
		"the first":        {func(d, _ *memoryFile) { clear(d.b[:1]) }, part},
		"two apart":        {func(d, _ *memoryFile) { clear(d.b[:9]); clear(d.b[2*part : 2*part+9]) }, 2 * part},
		"the last byte":    {func(d, _ *memoryFile) { d.b = d.b[:len(d.b)-1] }, (2<<20 + 12345) - 2*(800<<10) - part},
		"parts exchanged":  {func(d, _ *memoryFile) { swap(d.b[:part], d.b[part:2*part]) }, 2 * part},
		"tags exchanged":   {func(_, tg *memoryFile) { swap(tg.b[:16], tg.b[16:32]) }, 2 * part},
		"both exchanged":   {func(d, tg *memoryFile) { swap(d.b[:part], d.b[part:2*part]); swap(tg.b[:16], tg.b[16:32]) }, 2 * part},
		"no tags":          {func(_, tg *memoryFile) { tg.b = nil }, 2<<20 + 12345},
		"a tag cut off":    {func(_, tg *memoryFile) { tg.b = tg.b[:17] }, 2<<20 + 12345 - part},
		"nothing but tags": {func(d, _ *memoryFile) { d.b = nil }, 2<<20 + 12345},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, data, tags := partialWorld(t)
				tc.harm(data, tags)
				if had := resumeIn(t, w, data, tags); had != int64(len(w.content))-tc.lost {
					t.Errorf("%d bytes were fetched again, not %d", int64(len(w.content))-had, tc.lost)
				}
				w.resetGets()
				if had := resumeIn(t, w, data, tags); had != int64(len(w.content)) {
					t.Errorf("%d bytes are there after all came", had)
				}
			})
		})
	}
}

func swap(a, b []byte) {
	for i := range a {
		a[i], b[i] = b[i], a[i]
	}
}

// Where the link leads to another version by now, Resume begins anew: equal bytes
// under other keys prove nothing.
func TestResumeOfAnotherVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, data, tags := partialWorld(t)
		w.content = bytes.Clone(w.content)
		w.content[9] ^= 1
		w.republish(2, &protocol.Manifest{Name: "a file", Size: int64(len(w.content)), Extents: w.store(w.content, 800<<10)})
		if had := resumeIn(t, w, data, tags); had != 0 {
			t.Errorf("%d bytes of another version were kept", had)
		}
	})
}

// When Resume is called off or out of room, the next one finds what was written.
func TestResumeAfterFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 78, protocol.Profile{K: 2, R: 4, N: 6}, 2<<20, 800<<10)
		w.announce()
		data, tags := &memoryFile{room: 1 << 20}, new(memoryFile)
		f, err := w.client.Open(t.Context(), w.link)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Resume(t.Context(), Partial{data, tags}, nil); !errors.Is(err, errFull) {
			t.Fatalf("without room: %v", err)
		}
		data.room = 0
		ctx, cancel := context.WithCancel(t.Context())
		_, err = f.Resume(ctx, Partial{data, tags}, func(done, _ int64) {
			if done > 3<<19 {
				cancel()
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("called off: %v", err)
		}
		time.Sleep(time.Minute)
		if had := resumeIn(t, w, data, tags); had < 3<<19 || had >= 2<<20 {
			t.Errorf("%d bytes were there", had)
		}
	})
}
