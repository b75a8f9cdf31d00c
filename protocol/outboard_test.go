package protocol

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/iotest"

	"github.com/zeebo/blake3"
	"lukechampine.com/blake3/bao"
)

// TestOutboardIsBao: at every size at which trees change their shape, hashing in
// place gives what package bao gives.
func TestOutboardIsBao(t *testing.T) {
	sizes := []int64{0, 1, 63, 64, 1023, 1024, 1025, MaxShardSize}
	for leaves := int64(1); leaves <= 33; leaves++ {
		for _, d := range []int64{-1025, -1, 0, 1, 64, 1024, 5000} {
			sizes = append(sizes, max(0, leaves*LeafSize+d))
		}
	}
	random := rand.NewChaCha8([32]byte{7})
	for _, size := range sizes {
		data := make([]byte, size)
		_, _ = random.Read(data)
		want, wantRoot := bao.EncodeBuf(data, leafGroup, true)
		got, root := Outboard(data)
		if root != wantRoot || root != blake3.Sum256(data) || !bytes.Equal(got, want) {
			t.Fatalf("%d bytes: another tree than bao's", size)
		}
		read := make([]byte, size)
		got, root, err := ReadOutboard(iotest.HalfReader(bytes.NewReader(data)), read)
		if err != nil || root != wantRoot || !bytes.Equal(got, want) || !bytes.Equal(read, data) {
			t.Fatalf("%d bytes read: %v, or another tree", size, err)
		}
	}
}

func TestReadOutboardOfTooLittle(t *testing.T) {
	_, _, err := ReadOutboard(bytes.NewReader(make([]byte, readStep+1)), make([]byte, 2*readStep))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
}

// BenchmarkOutboard also measures the plain hash of the same bytes, to compare.
func BenchmarkOutboard(b *testing.B) {
	data := make([]byte, MaxShardSize)
	for _, c := range []struct {
		name string
		hash func()
	}{
		{"outboard", func() { Outboard(data) }},
		{"bao", func() { bao.EncodeBuf(data, leafGroup, true) }},
		{"root alone", func() { blake3.Sum256(data) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				c.hash()
			}
		})
	}
}
