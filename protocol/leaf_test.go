package protocol

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Every range of shards around each boundary must verify, with leaves cut out as a
// holder reads them from its disk.
func TestSliceRoundTrip(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range []int64{64, 1024, LeafSize - 64, LeafSize, LeafSize + 64, 3*LeafSize + 128, 256 << 10, 1 << 20, 4 << 20} {
		data := make([]byte, size)
		for i := range data {
			data[i] = byte(rng.Uint32())
		}
		outboard, root := Outboard(data)
		if root != Sum(data) || int64(len(outboard)) != OutboardSize(size) {
			t.Fatalf("size %d: outboard disagrees with the hash or its size", size)
		}
		for range 40 {
			off := rng.Int64N(size)
			length := 1 + rng.Int64N(size-off)
			lo, n := AlignRange(off, length, size)
			s, err := Slice(data[lo:lo+n], outboard, off, length)
			if err != nil {
				t.Fatal(err)
			}
			if int64(len(s)) > SliceSize(length, size) {
				t.Fatalf("slice of %d at %d of %d takes %d > %d", length, off, size, len(s), SliceSize(length, size))
			}
			got, err := VerifySlice(s, off, length, size, root)
			if err != nil || !bytes.Equal(got, data[off:off+length]) {
				t.Fatalf("size %d, %d at %d: %v", size, length, off, err)
			}
			s[8+rng.IntN(len(s)-8)] ^= 1
			if got, err := VerifySlice(s, off, length, size, root); err == nil && !bytes.Equal(got, data[off:off+length]) {
				t.Fatal("a damaged slice gave wrong bytes")
			}
			if _, err := VerifySlice(s, off, length, size+64, root); err == nil {
				t.Fatal("a slice of another size was accepted")
			}
		}
	}
}
