package client

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
)

// sizesOfInterest are lengths of sources around every boundary of profile p.
func sizesOfInterest(p protocol.Profile) map[string]int64 {
	full := seal.PlainCapacity(protocol.SegmentSize(p.K))
	return map[string]int64{
		"one byte":               1,
		"just below a part":      seal.PartSize - 1,
		"a part":                 seal.PartSize,
		"just above a part":      seal.PartSize + 1,
		"a leaf":                 protocol.LeafSize,
		"several parts":          5*seal.PartSize + 77,
		"just below a segment":   full - 1,
		"a segment":              full,
		"just above a segment":   full + 1,
		"two segments":           2 * full,
		"two segments and a bit": 2*full + seal.PartSize,
	}
}

// Whatever is built must come back from any k shards.
func TestBuildSegments(t *testing.T) {
	seed := mathrand.Uint64()
	rng := mathrand.New(mathrand.NewPCG(seed, 0))
	for _, p := range []protocol.Profile{{K: 1, R: 1, N: 1}, {K: 1, R: 2, N: 3}, {K: 2, R: 4, N: 6}, {K: 3, R: 4, N: 5}} {
		buf := newSegmentBuffer(p) // one for all: what was in it before must not show
		for name, size := range sizesOfInterest(p) {
			t.Run(fmt.Sprintf("%s of %s", name, p), func(t *testing.T) {
				source := make([]byte, size)
				_, _ = mathrand.NewChaCha8([32]byte{byte(seed)}).Read(source)
				b, err := newBuilder(p, rand.Reader)
				if err != nil {
					t.Fatal(err)
				}
				src := iotest.HalfReader(bytes.NewReader(source))
				var back []byte
				for {
					s, err := b.build(t.Context(), src, buf)
					if err != nil {
						t.Fatal(err)
					}
					if s == nil {
						break
					}
					back = append(back, reopen(t, b, s, rng)...)
				}
				if !bytes.Equal(back, source) {
					t.Fatalf("seed %d: %d bytes came back of %d, or wrong ones", seed, len(back), size)
				}
			})
		}
	}
}

// reopen takes away n−k random shards, makes them again and opens the segment.
func reopen(t *testing.T, b *builder, s *segment, rng *mathrand.Rand) []byte {
	t.Helper()
	d, err := protocol.OpenDescriptor(s.bytes, s.id)
	if err != nil {
		t.Fatal(err)
	}
	shards := make([][]byte, d.N)
	for _, i := range rng.Perm(d.N)[:d.K] {
		if protocol.Sum(s.shards[i]) != d.Roots[i] {
			t.Fatalf("shard %d does not fit its root", i)
		}
		shards[i] = bytes.Clone(s.shards[i])
	}
	want := make([]bool, d.N)
	for i := range d.K {
		want[i] = shards[i] == nil
	}
	if err := b.code.Reconstruct(shards, want); err != nil {
		t.Fatal(err)
	}
	sealed := bytes.Join(shards[:d.K], nil)
	for _, x := range sealed[d.Size:] {
		if x != 0 {
			t.Fatal("the segment is not zero-filled")
		}
	}
	plain, err := seal.Open(seal.Key(s.key), nil, sealed[:s.sealed])
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

func TestPadme(t *testing.T) {
	for _, c := range []struct{ n, want int64 }{{1, 1}, {2, 2}, {9, 10}, {1000, 1024}, {1 << 20, 1 << 20}, {1<<20 + 1, 1<<20 + 1<<15}, {3 << 22, 3 << 22}} {
		if got := padme(c.n); got != c.want {
			t.Errorf("padme(%d) = %d, want %d", c.n, got, c.want)
		}
	}
	for n := int64(1); n < 1<<26; n += 1 + n/3 {
		if p := padme(n); p < n || p-n > n/8+1 {
			t.Errorf("padme(%d) = %d", n, p)
		}
	}
}

func TestExactReader(t *testing.T) {
	for _, c := range []struct {
		name string
		have int
		size int64
		want error
	}{
		{"as long as said", 10, 10, nil},
		{"unknown", 10, -1, nil},
		{"shrunk", 9, 10, ErrSourceChanged},
		{"grown", 11, 10, ErrSourceChanged},
		{"shrunk to nothing", 0, 10, ErrSourceChanged},
	} {
		_, err := io.ReadAll(&exactReader{r: bytes.NewReader(make([]byte, c.have)), size: c.size})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// A source that grows for ever ends, however large the pieces in which it is read.
	piece := make([]byte, 7)
	e := &exactReader{r: rand.Reader, size: 20}
	var err error
	for range 4 {
		if _, err = io.ReadFull(e, piece); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrSourceChanged) {
		t.Errorf("grows for ever: %v", err)
	}
}

func BenchmarkBuild(b *testing.B) {
	p := protocol.Profile{K: 4, R: 7, N: 10}
	bld, err := newBuilder(p, rand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	plain := make([]byte, seal.PlainCapacity(protocol.SegmentSize(p.K)))
	buf := newSegmentBuffer(p)
	b.SetBytes(int64(len(plain)))
	for b.Loop() {
		if _, err := bld.build(b.Context(), bytes.NewReader(plain), buf); err != nil {
			b.Fatal(err)
		}
	}
}
