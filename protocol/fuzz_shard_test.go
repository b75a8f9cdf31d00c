package protocol

import (
	"bytes"
	"testing"

	"github.com/cairnstore/cairn/lab/fuzz"
)

// Whatever a slice contains, it proves the shard's own bytes or nothing, and only in
// the one form that a holder would send.
func FuzzVerifySlice(f *testing.F) {
	const size = 5*LeafSize + 64
	data := generated(size)
	outboard, root := Outboard(data)
	for _, v := range readVectors(f, "testdata/shards.txt") {
		if v.kind == "slice" && v.number(f, "size") == size {
			f.Add(v.bytes, int64(v.number(f, "offset")), int64(v.number(f, "length")))
		}
	}
	f.Add(encoded(Slice(data[:LeafSize], outboard, 0, LeafSize)), int64(0), int64(LeafSize))
	fuzz.Run3(f, func(t *fuzz.T, slice []byte, off, length int64) {
		var got []byte
		var err error
		t.Frugal(uint64(1<<20+64*len(slice)), func() { got, err = VerifySlice(slice, off, length, size, root) })
		if err != nil {
			return
		}
		if !bytes.Equal(got, data[off:off+length]) {
			t.Fatalf("other bytes at %d", off)
		}
		lo, n := AlignRange(off, length, size)
		if again := encoded(Slice(data[lo:lo+n], outboard, off, length)); !bytes.Equal(again, slice) {
			t.Fatalf("a second form of the slice of %d at %d", length, off)
		}
	})
}

// Whatever a chunk's slice contains, it proves the shard's own chunk or nothing, and
// only in the one form that a holder would send.
func FuzzVerifyChunk(f *testing.F) {
	const size = 5*LeafSize + 64
	data := generated(size)
	outboard, root := Outboard(data)
	for _, v := range readVectors(f, "testdata/shards.txt") {
		if v.kind == "chunk slice" {
			f.Add(v.bytes, int64(v.number(f, "chunk")))
		}
	}
	for chunk := range Chunks(size) {
		f.Add(encoded(cutChunk(data, outboard, chunk, root)), chunk)
	}
	fuzz.Run2(f, func(t *fuzz.T, slice []byte, chunk int64) {
		var got []byte
		var err error
		t.Frugal(uint64(1<<20+64*len(slice)), func() { got, err = VerifyChunk(slice, chunk, size, root) })
		if err != nil {
			return
		}
		off, length := ChunkRange(chunk, size)
		if !bytes.Equal(got, data[off:off+length]) {
			t.Fatalf("other bytes in chunk %d", chunk)
		}
		if again := encoded(cutChunk(data, outboard, chunk, root)); !bytes.Equal(again, slice) {
			t.Fatalf("a second form of the slice of chunk %d", chunk)
		}
	})
}

// tree is the outboard and root of a shard's bytes; making it takes most of the time.
type tree struct {
	outboard []byte
	root     Hash
}

// An honest slice of any range of any shard proves exactly that range.
func FuzzSliceRange(f *testing.F) {
	f.Add(uint32(0), uint32(0), uint32(63))
	f.Add(uint32(5*LeafSize/shardAlign<<4|15), uint32(LeafSize-1), uint32(1)) // five leaves and 64 bytes
	f.Add(uint32((8*LeafSize/shardAlign-1)<<4|15), uint32(7*LeafSize), uint32(LeafSize-1))
	all, outboards := generated(1<<20), make(map[int64]tree)
	fuzz.Run3(f, func(t *fuzz.T, shape, off, length uint32) {
		// Up to 1 MiB, but each magnitude up to four leaves equally often, and
		// longer ones seldom: otherwise they would take nearly all the time.
		most := uint32(1) << min(shape%16, 10)
		if shape%16 == 15 {
			most = 1 << 14
		}
		size := int64(shape>>4%most+1) * shardAlign
		o, l := int64(off)%size, int64(length)
		l = l%(size-o) + 1
		data := all[:size]
		made, known := outboards[size]
		if !known {
			made.outboard, made.root = Outboard(data)
			outboards[size] = made
		}
		lo, n := AlignRange(o, l, size)
		s := encoded(Slice(data[lo:lo+n], made.outboard, o, l))
		if int64(len(s)) > SliceSize(l, size) {
			t.Fatalf("%d bytes, over %d", len(s), SliceSize(l, size))
		}
		var got []byte
		var err error
		t.Frugal(uint64(1<<20+64*len(s)), func() { got, err = VerifySlice(s, o, l, size, made.root) })
		if err != nil || !bytes.Equal(got, data[o:o+l]) {
			t.Fatalf("%d at %d of %d: %v", l, o, size, err)
		}
	})
}

func FuzzProfile(f *testing.F) {
	for _, s := range []string{"1/1/1", "4/9/14", "20/36/56", "4/9", "0/0/0", "1/1/6", "9999999999999999999/1/1"} {
		f.Add(s)
	}
	fuzz.Run(f, func(t *fuzz.T, text string) {
		var p Profile
		var err error
		t.Frugal(uint64(1<<20+64*len(text)), func() { p, err = ParseProfile(text) })
		if err != nil {
			return
		}
		t.Accepted()
		if again, err := ParseProfile(p.String()); err != nil || again != p {
			t.Fatalf("%q reads as %s, and that as %s: %v", text, p, again, err)
		}
	})
}

func FuzzSegmentID(f *testing.F) {
	f.Add(newWorld(f).segment.String())
	f.Add("bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy")
	fuzz.Run(f, func(t *fuzz.T, text string) {
		var s SegmentID
		var err error
		t.Frugal(uint64(1<<20+64*len(text)), func() { s, err = ParseSegmentID(text) })
		if err != nil {
			return
		}
		t.Accepted()
		if again, err := ParseSegmentID(s.String()); err != nil || again != s {
			t.Fatalf("%q reads as %s: %v", text, s, err)
		}
	})
}
