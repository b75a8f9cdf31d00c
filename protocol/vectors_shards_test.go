package protocol

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"testing"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// generated returns n bytes that any implementation can make: SHA-256 of
// "cairn vector" and of the numbers 0, 1, 2 … as 8 big-endian bytes, one after
// another.
func generated(n int) []byte {
	var out []byte
	for i := uint64(0); len(out) < n; i++ {
		h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte("cairn vector"), i))
		out = append(out, h[:]...)
	}
	return out[:n]
}

const shardHead = `
Shards, outboards and slices: SPEC.md, "Shard". The shard of a vector is its "size" bytes of the
generator: SHA-256("cairn vector" ‖ i as 8 big-endian bytes) for i = 0, 1, 2 …, one after another.
A slice proves the range "offset", "length" of it against "root". A slice too long to stand here is
given by the BLAKE3-256 of its bytes. A chunk slice proves the chunk of that number, from 0, against "root".`

func shardVectors(*world) (string, []vector) {
	const leaf = LeafSize
	var list []vector
	for _, size := range []int{64, leaf, leaf + 64, 5*leaf + 64} {
		outboard, root := Outboard(generated(size))
		list = append(list, okVector("outboard/"+strconv.Itoa(size), "outboard", "the tree over a shard's leaves", outboard).
			with("size", size).with("root", root))
	}
	list = append(list,
		sliceVector("whole", "a shard of one short leaf", 64, 0, 64),
		sliceVector("inside", "bytes within it: the slice holds the whole leaf", 64, 3, 7),
		sliceVector("last-leaf", "the short last leaf of two", leaf+64, leaf, 64),
		sliceVector("last-of-six", "the short last leaf of six", 5*leaf+64, 5*leaf+10, 20),
		sliceVector("one-byte", "one byte: a whole leaf and its path", 5*leaf+64, 2*leaf, 1),
		sliceVector("across", "across a boundary: two leaves", 5*leaf+64, 2*leaf-1, 2),
		sliceVector("all", "the whole shard as a slice", 5*leaf+64, 0, 5*leaf+64),
	)
	list = append(list, badSlices()...)
	for _, c := range [][2]int{{64, 0}, {1024, 0}, {leaf, 9}, {leaf + 64, 16}, {5*leaf + 64, 0}, {5*leaf + 64, 70}, {5*leaf + 64, 80}, {MaxShardSize, 4095}} {
		list = append(list, chunkSliceVector(c[0], c[1]))
	}
	return shardHead, append(list, badChunkSlices()...)
}

func cutSlice(size, off, length int) ([]byte, Hash) {
	data := generated(size)
	outboard, root := Outboard(data)
	lo, n := AlignRange(int64(off), int64(length), int64(size))
	return encoded(Slice(data[lo:lo+n], outboard, int64(off), int64(length))), root
}

func sliceVector(name, about string, size, off, length int) vector {
	slice, root := cutSlice(size, off, length)
	v := okVector("slice/"+name, "slice", about, slice).with("size", size).with("root", root).with("offset", off).with("length", length)
	if len(slice) > 1<<10 {
		v.kind, v.bytes = "slice digest", nil
		sum := Sum(slice)
		v.bytes = sum[:]
		v = v.with("sliceLength", len(slice))
	}
	return v
}

func badSlices() []vector {
	const size, off, length = 5*LeafSize + 64, 5 * LeafSize, 64
	good, root := cutSlice(size, off, length)
	bad := func(name, about string, b []byte, size, off, length int) vector {
		return vector{name: "slice/" + name, kind: "slice", about: about, expect: expectation(ErrForged), bytes: b}.
			with("size", size).with("root", root).with("offset", off).with("length", length)
	}
	header := slices.Clone(good)
	header[0] ^= 0x40 // now it says 64 bytes more or less than the shard has
	return []vector{
		bad("flipped", "one bit of the data is wrong", flipLast(good), size, off, length),
		bad("flipped-path", "one bit of the path is wrong", append(append(slices.Clone(good[:8]), good[8]^1), good[9:]...), size, off, length),
		bad("cut", "the last byte is missing", good[:len(good)-1], size, off, length),
		bad("long", "a byte too many", append(slices.Clone(good), 0), size, off, length),
		bad("other-length", "its length is not shardSize", header, size, off, length),
		bad("other-size", "asked for a shard of another size", good, size+64, off, length),
		bad("other-range", "asked for a range of another leaf", good, size, 0, 64),
		bad("beyond", "a range that ends beyond the shard", good, size, off, length+1),
		bad("nothing", "a range of no bytes", good, size, off, 0),
		bad("empty", "no slice", nil, size, off, length),
	}
}

func chunkSliceVector(size, chunk int) vector {
	data := generated(size)
	outboard, root := Outboard(data)
	slice := encoded(cutChunk(data, outboard, int64(chunk), root))
	v := okVector(fmt.Sprintf("chunk-slice/%d-of-%d", chunk, size), "chunk slice", "one chunk and its path", slice).
		with("size", size).with("root", root).with("chunk", chunk)
	if len(slice) > 1<<10 {
		sum := Sum(slice)
		v.kind, v.bytes = "chunk slice digest", sum[:]
		v = v.with("sliceLength", len(slice))
	}
	return v
}

func badChunkSlices() []vector {
	const size, chunk = LeafSize + 64, 16
	data := generated(size)
	outboard, root := Outboard(data)
	good := encoded(cutChunk(data, outboard, chunk, root))
	bad := func(name, about string, b []byte, size, chunk int) vector {
		return vector{name: "chunk-slice/" + name, kind: "chunk slice", about: about, expect: expectation(ErrForged), bytes: b}.
			with("size", size).with("root", root).with("chunk", chunk)
	}
	return []vector{
		bad("flipped", "one bit of the data is wrong", flipLast(good), size, chunk),
		bad("flipped-path", "one bit of the path is wrong", append(append(slices.Clone(good[:8]), good[8]^1), good[9:]...), size, chunk),
		bad("cut", "the last byte is missing", good[:len(good)-1], size, chunk),
		bad("long", "a byte too many", append(slices.Clone(good), 0), size, chunk),
		bad("other-size", "asked for a shard of another size", good, size+64, chunk),
		bad("other-chunk", "asked for another chunk", good, size, chunk-1),
		bad("beyond", "a chunk that the shard has not", good, size, chunk+1),
		bad("empty", "no slice", nil, size, chunk),
	}
}

// computed checks the vectors that are not the encoding of one thing.
var computed = map[string]func(*testing.T, vector){
	"outboard":           checkOutboard,
	"slice":              checkSlice,
	"slice digest":       checkSliceDigest,
	"chunk slice":        checkChunkSlice,
	"chunk slice digest": checkChunkSliceDigest,
	"coding":             checkCoding,
	"name":               checkName,
	"challenged chunk":   checkChunk,
	"lot":                checkHashed("lot"),
	"lot key":            checkHashed("key"),
	"lot domain":         checkHashed("key"),
	"group day":          checkDay,
}

func (v vector) number(t testing.TB, key string) int {
	t.Helper()
	n, err := strconv.Atoi(v.value(t, key))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func (v vector) hash(t testing.TB, key string) (h Hash) {
	t.Helper()
	b, err := hex.DecodeString(v.value(t, key))
	if err != nil || copy(h[:], b) != len(h) {
		t.Fatalf("%s: %s is no hash", v.name, key)
	}
	return h
}

func checkOutboard(t *testing.T, v vector) {
	size := v.number(t, "size")
	out, root := Outboard(generated(size))
	if !bytes.Equal(out, v.bytes) || root != v.hash(t, "root") || root != Sum(generated(size)) {
		t.Errorf("outboard %x, root %s", out, root)
	}
}

func checkSlice(t *testing.T, v vector) {
	size, off, length := v.number(t, "size"), v.number(t, "offset"), v.number(t, "length")
	got, err := VerifySlice(v.bytes, int64(off), int64(length), int64(size), v.hash(t, "root"))
	if expectation(err) != v.expect {
		t.Fatalf("%v, not %s", err, v.expect)
	}
	if err == nil && !bytes.Equal(got, generated(size)[off:off+length]) {
		t.Error("it proves other bytes")
	}
}

func checkSliceDigest(t *testing.T, v vector) {
	slice, root := cutSlice(v.number(t, "size"), v.number(t, "offset"), v.number(t, "length"))
	sum := Sum(slice)
	if !bytes.Equal(sum[:], v.bytes) || len(slice) != v.number(t, "sliceLength") || root != v.hash(t, "root") {
		t.Errorf("slice of %d bytes hashes to %s", len(slice), sum)
	}
	v.bytes = slice
	checkSlice(t, v)
}

func checkChunkSlice(t *testing.T, v vector) {
	size, chunk := int64(v.number(t, "size")), int64(v.number(t, "chunk"))
	got, err := VerifyChunk(v.bytes, chunk, size, v.hash(t, "root"))
	if expectation(err) != v.expect {
		t.Fatalf("%v, not %s", err, v.expect)
	}
	if err != nil {
		return
	}
	off, length := ChunkRange(chunk, size)
	if !bytes.Equal(got, generated(int(size))[off:off+length]) {
		t.Error("it proves other bytes")
	}
}

func checkChunkSliceDigest(t *testing.T, v vector) {
	data := generated(v.number(t, "size"))
	outboard, root := Outboard(data)
	slice := encoded(cutChunk(data, outboard, int64(v.number(t, "chunk")), root))
	sum := Sum(slice)
	if !bytes.Equal(sum[:], v.bytes) || len(slice) != v.number(t, "sliceLength") || root != v.hash(t, "root") {
		t.Errorf("slice of %d bytes hashes to %s", len(slice), sum)
	}
	v.bytes = slice
	checkChunkSlice(t, v)
}
