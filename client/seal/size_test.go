package seal

import (
	"errors"
	"math"
	"testing"
)

func TestSizes(t *testing.T) {
	for _, c := range sizes {
		size := SealedSize(c.plain)
		if got := int64(len(sealed(t, counting(1), pattern(c.plain)))); got != size {
			t.Errorf("%s: sealed %d bytes, SealedSize says %d", c.why, got, size)
		}
		checkSize(t, c.plain)
	}
	for _, plain := range []int64{MaxPlain, MaxPlain - 1, MaxPlain - PartSize, MaxPlain - PartSize + 1} {
		checkSize(t, plain)
	}
}

// checkSize checks that all functions of size agree about an extent.
func checkSize(t testing.TB, plain int64) {
	t.Helper()
	size := SealedSize(plain)
	if got, err := PlainSize(size); err != nil || got != plain {
		t.Errorf("PlainSize(SealedSize(%d)) = %d, %v", plain, got, err)
	}
	if got := PlainCapacity(size); got != plain {
		t.Errorf("PlainCapacity(SealedSize(%d)) = %d", plain, got)
	}
	if got := PlainCapacity(size - 1); got != plain-1 {
		t.Errorf("PlainCapacity(SealedSize(%d)-1) = %d", plain, got)
	}
	off, length := PartRange(Parts(plain)-1, plain)
	if off+length != size {
		t.Errorf("the last of %d parts of %d bytes ends at %d, the extent at %d", Parts(plain), plain, off+length, size)
	}
}

// Below three parts every sealed length is tried: each either comes from just
// one plain length or is refused.
func TestEverySmallSealedSize(t *testing.T) {
	next := int64(1)
	for size := int64(0); size < 3*sealedPart; size++ {
		if fits := PlainCapacity(size); fits != next-1 && fits != next {
			t.Fatalf("PlainCapacity(%d) = %d after %d", size, fits, next-1)
		}
		plain, err := PlainSize(size)
		if size != SealedSize(next) {
			if !errors.Is(err, ErrOpen) {
				t.Fatalf("PlainSize(%d) = %d, %v; no extent has that length", size, plain, err)
			}
			continue
		}
		if err != nil || plain != next {
			t.Fatalf("PlainSize(%d) = %d, %v, want %d", size, plain, err, next)
		}
		next++
	}
}

func TestPartsTile(t *testing.T) {
	for _, c := range sizes {
		end := int64(CommitmentSize)
		for i := range Parts(c.plain) {
			off, length := PartRange(i, c.plain)
			if off != end || length <= Overhead {
				t.Errorf("%s: part %d lies at %d+%d, not at %d", c.why, i, off, length, end)
			}
			end = off + length
		}
	}
}

func TestOutOfRange(t *testing.T) {
	for _, plain := range []int64{math.MinInt64, -1, 0, MaxPlain + 1, math.MaxInt64} {
		if Parts(plain) != 0 || SealedSize(plain) != 0 {
			t.Errorf("%d plain bytes have an extent", plain)
		}
		if _, length := PartRange(0, plain); length != 0 {
			t.Errorf("%d plain bytes have a part", plain)
		}
	}
	for _, size := range []int64{math.MinInt64, -1, 0, CommitmentSize + Overhead, SealedSize(MaxPlain) + 1, math.MaxInt64} {
		if _, err := PlainSize(size); !errors.Is(err, ErrOpen) {
			t.Errorf("PlainSize(%d): %v", size, err)
		}
		if got := PlainCapacity(size); got < 0 || got > MaxPlain {
			t.Errorf("PlainCapacity(%d) = %d", size, got)
		}
	}
	for _, index := range []int64{math.MinInt64, -1, 2, math.MaxInt64} {
		if _, length := PartRange(index, PartSize+1); length != 0 {
			t.Errorf("part %d of 2 exists", index)
		}
	}
}
