package protocol

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"lukechampine.com/blake3/bao"
)

// cutChunk cuts the slice of a chunk out of a whole shard, as a disk would hand
// over its leaf.
func cutChunk(data, outboard []byte, chunk int64, root Hash) ([]byte, error) {
	size := int64(len(data))
	off, length := ChunkRange(chunk, size)
	lo, n := AlignRange(off, length, size)
	return ChunkSlice(data[lo:lo+n], outboard, chunk, size, root)
}

// boundarySizes are the sizes at which chunks, leaves and trees change their shape.
func boundarySizes() []int64 {
	sizes := []int64{1, 63, 64, 1023, 1024, 1025, MaxShardSize - LeafSize - 1, MaxShardSize - 1, MaxShardSize}
	for _, unit := range []int64{ChunkSize, LeafSize} {
		for n := int64(1); n <= 9; n++ {
			for _, d := range []int64{-1, 0, 1, 64, ChunkSize, ChunkSize + 1} {
				sizes = append(sizes, n*unit+d)
			}
		}
	}
	slices.Sort(sizes)
	return slices.Compact(sizes)
}

// At every size, the slice of a chunk is the one that bao cuts from the tree over
// single chunks; it proves the chunk, and is no longer than it may be.
func TestChunkSliceIsBao(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	all := generated(MaxShardSize)
	for _, size := range boundarySizes() {
		data := all[:size]
		outboard, root := Outboard(data)
		tree, _ := bao.EncodeBuf(data, 0, true)
		last := Chunks(size) - 1
		chunks := []int64{0, last, last / 2, max(0, last-1), random.Int64N(last + 1)}
		if size <= 3*LeafSize {
			chunks = nil
			for c := range last + 1 {
				chunks = append(chunks, c)
			}
		}
		for _, c := range chunks {
			slice, err := cutChunk(data, outboard, c, root)
			if err != nil {
				t.Fatal(err)
			}
			off, length := ChunkRange(c, size)
			var want bytes.Buffer
			err = bao.ExtractSlice(&want, bytes.NewReader(data[off:off+length]), bytes.NewReader(tree), 0, uint64(off), uint64(length))
			if err != nil || !bytes.Equal(slice, want.Bytes()) {
				t.Fatalf("chunk %d of %d: not bao's slice (%v)", c, size, err)
			}
			if got, err := VerifyChunk(slice, c, size, root); err != nil || !bytes.Equal(got, data[off:off+length]) {
				t.Fatalf("chunk %d of %d: %v", c, size, err)
			}
			if len(slice) > MaxChunkSlice || size == MaxShardSize && len(slice) != MaxChunkSlice {
				t.Fatalf("chunk %d of %d: %d bytes", c, size, len(slice))
			}
		}
	}
}

// A slice proves nothing once any byte of it is changed, missing or added, nor for
// another chunk, size or root.
func TestChunkSliceForged(t *testing.T) {
	for _, size := range []int64{64, ChunkSize + 64, LeafSize, 3*LeafSize + 1100} {
		data := generated(int(size))
		outboard, root := Outboard(data)
		for c := range Chunks(size) {
			slice := encoded(cutChunk(data, outboard, c, root))
			refused := func(what string, slice []byte, chunk, size int64, root Hash) {
				t.Helper()
				if got, err := VerifyChunk(slice, chunk, size, root); !errors.Is(err, ErrForged) || got != nil {
					t.Errorf("chunk %d of %d, %s: %v", c, size, what, err)
				}
			}
			for i := range slice {
				slice[i] ^= 1
				refused("changed", slice, c, size, root)
				slice[i] ^= 1
			}
			refused("long", append(slices.Clone(slice), 0), c, size, root)
			refused("far too long", append(slices.Clone(slice), make([]byte, MaxChunkSlice)...), c, size, root)
			for _, n := range []int{0, 7, 8, len(slice) / 2, len(slice) - 1} {
				refused("short", slice[:n], c, size, root)
			}
			refused("next chunk", slice, c+1, size, root)
			refused("chunk before", slice, c-1, size, root)
			refused("another size", slice, c, size+64, root)
			refused("another root", slice, c, size, Hash{})
			if c == Chunks(size)-1 { // only the last chunk shows where a shard ends
				longer := slices.Clone(slice)
				longer[0] += 64
				refused("another size, and it says so", longer, c, size+64, root)
			}
		}
	}
	// A path that ends at the leaf is refused, though all in it is true.
	data := generated(LeafSize + 64)
	outboard, root := Outboard(data)
	leaf := encoded(Slice(data[:LeafSize], outboard, 0, ChunkSize))
	for _, n := range []int{ChunkSize, LeafSize} {
		if _, err := VerifyChunk(leaf[:8+64+n], 0, LeafSize+64, root); !errors.Is(err, ErrForged) {
			t.Errorf("%d bytes of a leaf: %v", n, err)
		}
	}
	// No bytes prove a chunk of a shard that cannot exist.
	for _, size := range []int64{0, -1, -ChunkSize} {
		if _, err := VerifyChunk(make([]byte, 8), 0, size, Hash{}); !errors.Is(err, ErrForged) {
			t.Errorf("a shard of %d bytes: %v", size, err)
		}
	}
}

// With any damage in the leaf, or on the path to it in the outboard, no chunk of the
// leaf can be proved. Damage elsewhere in the shard does not matter.
func TestChunkSliceOfDamage(t *testing.T) {
	const size, chunk = 5*LeafSize + 64, 37 // in the third leaf
	data := generated(size)
	outboard, root := Outboard(data)
	random := rand.New(rand.NewPCG(5, 6))
	for at := range int64(6) {
		spoilt := slices.Clone(data)
		spoilt[min(at*LeafSize+random.Int64N(LeafSize), size-1)] ^= 0x10
		if _, err := cutChunk(spoilt, outboard, chunk, root); errors.Is(err, ErrForged) != (at == 2) {
			t.Errorf("damage in leaf %d: %v", at, err)
		}
	}
	// The parents in pre-order: of all six leaves, of the first four, of the first
	// two, of the third and fourth, of the last two.
	for parent, onPath := range []bool{true, true, false, true, false} {
		spoilt := slices.Clone(outboard)
		spoilt[8+64*parent+int(random.Int64N(64))] ^= 0x10
		if _, err := cutChunk(data, spoilt, chunk, root); errors.Is(err, ErrForged) != onPath {
			t.Errorf("damage in parent %d: %v", parent, err)
		}
	}
	for what, c := range map[string]struct {
		leaf, outboard []byte
		chunk, size    int64
	}{
		"no leaf":            {nil, outboard, chunk, size},
		"a short leaf":       {data[:LeafSize-1], outboard, chunk, size},
		"a long leaf":        {data[:LeafSize+1], outboard, chunk, size},
		"no outboard":        {data[:LeafSize], nil, chunk, size},
		"an outboard cut":    {data[:LeafSize], outboard[:len(outboard)-1], chunk, size},
		"of another size":    {data[:LeafSize], outboard, chunk, size + 64},
		"a chunk beyond":     {data[:LeafSize], outboard, Chunks(size), size},
		"a chunk below 0":    {data[:LeafSize], outboard, -1, size},
		"a shard of nothing": {nil, outboard[:8], 0, 0},
	} {
		if _, err := ChunkSlice(c.leaf, c.outboard, c.chunk, c.size, root); !errors.Is(err, ErrForged) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// BenchmarkChunkSlice proves chunks of the greatest shard, and checks them.
func BenchmarkChunkSlice(b *testing.B) {
	data := generated(MaxShardSize)
	outboard, root := Outboard(data)
	b.Run("cut", func(b *testing.B) {
		for b.Loop() {
			_ = encoded(cutChunk(data, outboard, 2049, root))
		}
	})
	slice := encoded(cutChunk(data, outboard, 2049, root))
	b.Run("verify", func(b *testing.B) {
		for b.Loop() {
			_, _ = VerifyChunk(slice, 2049, MaxShardSize, root)
		}
	})
	leaf := encoded(Slice(data[128*LeafSize:129*LeafSize], outboard, 128*LeafSize, LeafSize))
	b.Run("verify leaf", func(b *testing.B) {
		for b.Loop() {
			_, _ = VerifySlice(leaf, 128*LeafSize, LeafSize, MaxShardSize, root)
		}
	})
}
