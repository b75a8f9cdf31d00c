package client

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// timedWriter notes when the first byte came.
type timedWriter struct {
	bytes.Buffer
	first time.Time
}

func (w *timedWriter) Write(p []byte) (int, error) {
	if w.first.IsZero() && len(p) > 0 {
		w.first = time.Now()
	}
	return w.Buffer.Write(p)
}

var testProfiles = []protocol.Profile{
	{K: 1, R: 1, N: 1}, {K: 1, R: 2, N: 3}, {K: 2, R: 4, N: 6}, {K: 4, R: 7, N: 10}, {K: 4, R: 9, N: 14},
}

// TestReadFaultMix checks that, with n−k holders dead, frozen, lying, refusing or
// slow in any mix, the bytes come back, the first of them within 5 seconds.
func TestReadFaultMix(t *testing.T) {
	moods := []mood{dead, frozen, lying, refusing, sluggish}
	for i := range faultSeeds() {
		seed := uint64(1000 + i)
		synctest.Test(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			p := testProfiles[rng.IntN(len(testProfiles))]
			w := newWorld(t, seed, p, 1+rng.Int64N(3<<20), 700<<10)
			w.net.latency = 20 * time.Millisecond
			w.announce()
			spoilt := w.spoil(p.N-p.K, moods[:1+rng.IntN(len(moods))]...)
			begun := time.Now()
			f, err := w.client.Open(t.Context(), w.link)
			if err != nil {
				t.Fatalf("seed %d, %s, %v: %v", seed, p, spoilt, err)
			}
			var out timedWriter
			if err := f.WriteTo(t.Context(), &out, nil); err != nil {
				t.Fatalf("seed %d, %s, %v: %v", seed, p, spoilt, err)
			}
			if !bytes.Equal(out.Bytes(), w.content) {
				t.Fatalf("seed %d, %s, %v: other bytes", seed, p, spoilt)
			}
			t.Logf("%s %v size %d: first byte %s, all %s", p, spoilt, len(w.content), out.first.Sub(begun), time.Since(begun))
			if d := out.first.Sub(begun); d > 5*time.Second {
				t.Errorf("seed %d, %s, %v: first byte after %s", seed, p, spoilt, d)
			}
			for range 10 {
				off := rng.Int64N(int64(len(w.content)) + 1)
				b := make([]byte, rng.Int64N(1<<20))
				n, err := f.ReadAt(t.Context(), b, off)
				want := w.content[off:min(off+int64(len(b)), int64(len(w.content)))]
				if err != nil && !(errors.Is(err, io.EOF) && len(want) < len(b)) {
					t.Fatalf("seed %d, read %d at %d: %v", seed, len(b), off, err)
				}
				if !bytes.Equal(b[:n], want) {
					t.Fatalf("seed %d, read %d at %d: other bytes", seed, len(b), off)
				}
			}
		})
	}
}

func faultSeeds() int {
	if n, err := strconv.Atoi(os.Getenv("CAIRN_FAULT_SEEDS")); err == nil {
		return n
	}
	return 24
}
