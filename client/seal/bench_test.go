package seal

import (
	cryptorand "crypto/rand"
	"testing"
)

func BenchmarkSealPart(b *testing.B) {
	s, err := NewSealer(cryptorand.Reader)
	if err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, sealedPart)
	b.SetBytes(PartSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.SealPart(buf[:0], buf[:PartSize], false); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenPart(b *testing.B) {
	extent := sealed(b, counting(0), pattern(PartSize))
	o, err := NewOpener(counting(0), extent[:CommitmentSize], PartSize)
	if err != nil {
		b.Fatal(err)
	}
	dst := make([]byte, 0, PartSize)
	b.SetBytes(PartSize)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.OpenPart(dst, extent[CommitmentSize:], 0); err != nil {
			b.Fatal(err)
		}
	}
}

// A small file is an extent of its own: here the keys are what it costs.
func BenchmarkSeal4KiB(b *testing.B) {
	plain, dst := pattern(4<<10), make([]byte, 0, SealedSize(4<<10))
	b.SetBytes(4 << 10)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := sealText(cryptorand.Reader, dst, plain); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpen4KiB(b *testing.B) {
	extent, dst := sealed(b, counting(0), pattern(4<<10)), make([]byte, 0, 4<<10)
	b.SetBytes(4 << 10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Open(counting(0), dst, extent); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenFile64MiB(b *testing.B) {
	file, err := SealFile(cryptorand.Reader, []byte("p"), nil, MinFileMemory)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := OpenFile([]byte("p"), file); err != nil {
			b.Fatal(err)
		}
	}
}
