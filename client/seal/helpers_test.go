package seal

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// sizes are plain lengths, with the reason for each as its name.
var sizes = []struct {
	why   string
	plain int64
}{
	{"least", 1},
	{"one short of a tag", Overhead - 1},
	{"small", 1000},
	{"a payload", PayloadPlain},
	{"one short of a part", PartSize - 1},
	{"a part", PartSize},
	{"one over a part", PartSize + 1},
	{"a part and a tag", PartSize + Overhead},
	{"two parts", 2 * PartSize},
	{"three parts, the last short", 2*PartSize + 77},
	{"four parts", 4 * PartSize},
}

// seeded returns a source that prints its seed when the test fails.
func seeded(t testing.TB) *rand.ChaCha8 {
	seed := [32]byte{}
	now := uint64(time.Now().UnixNano())
	for i := range 8 {
		seed[i] = byte(now >> (8 * i))
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %x", seed)
		}
	})
	return rand.NewChaCha8(seed)
}

// pattern is the plain text of vectors: byte i is i mod 251.
func pattern(n int64) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i % 251)
	}
	return b
}

// counting is the key of vectors: from, from+1, ….
func counting(from byte) (k Key) {
	for i := range k {
		k[i] = from + byte(i)
	}
	return k
}

// sealed returns the extent of plain under a fixed key.
func sealed(t testing.TB, key Key, plain []byte) []byte {
	t.Helper()
	s, err := newSealer(key)
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.sealAll(nil, plain)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func mustOpen(t testing.TB, key Key, extent, want []byte) {
	t.Helper()
	got, err := Open(key, nil, extent)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("open: %d bytes, %v; want the %d sealed", len(got), err, len(want))
	}
}

// sealText draws a key and appends the whole extent of plain to dst.
func sealText(rand io.Reader, dst, plain []byte) (Key, []byte, error) {
	s, err := NewSealer(rand)
	if err != nil {
		return Key{}, nil, err
	}
	sealed, err := s.sealAll(dst, plain)
	if err != nil {
		return Key{}, nil, err
	}
	return s.Key(), sealed, nil
}
