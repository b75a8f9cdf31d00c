package protocol

import (
	"encoding/binary"
	"io"
	"math/bits"

	"lukechampine.com/blake3/bao"
	"lukechampine.com/blake3/guts"
)

// chunksPerLeaf is how many of BLAKE3's chunks make a leaf: as many as the
// library compresses in one call.
const chunksPerLeaf = 1 << leafGroup

// readStep is how many bytes of a shard are read before they are hashed: few enough
// to be still in the processor's cache then.
const readStep = 16 * LeafSize

// Outboard returns the tree of hashes over data (0.4 % of its length), from
// which Slice proves any range, and the tree's root: the BLAKE3-256 of data.
func Outboard(data []byte) (outboard []byte, root Hash) {
	t := newLeafTree(int64(len(data)))
	t.write(data)
	return t.finish()
}

// OutboardSize returns the length in bytes of the outboard of n bytes.
func OutboardSize(n int64) int64 { return int64(bao.EncodedSize(int(n), leafGroup, true)) }

// ReadOutboard fills data from r and returns what Outboard returns, hashing the bytes
// as they come. It returns the error of r if r ends before data is full.
func ReadOutboard(r io.Reader, data []byte) (outboard []byte, root Hash, err error) {
	t := newLeafTree(int64(len(data)))
	if err := readSteps(r, data, t.write); err != nil {
		return nil, Hash{}, err
	}
	outboard, root = t.finish()
	return outboard, root, nil
}

// readSteps fills data from r and gives it to seen, step by step.
func readSteps(r io.Reader, data []byte, seen func([]byte)) error {
	for len(data) > 0 {
		step := data[:min(len(data), readStep)]
		if _, err := io.ReadFull(r, step); err != nil {
			return err
		}
		seen(step)
		data = data[len(step):]
	}
	return nil
}

// leafTree hashes a shard leaf by leaf, in place. Its outboard is the same as that of
// package bao, which copies each byte twice.
type leafTree struct {
	size int64
	cvs  [][8]uint32 // chaining values of the leaves so far
}

func newLeafTree(size int64) *leafTree {
	return &leafTree{size, make([][8]uint32, 0, Leaves(size))}
}

// write hashes the next bytes. All calls but the last must bring whole leaves.
func (t *leafTree) write(data []byte) {
	for len(data) >= LeafSize {
		t.leaf((*[LeafSize]byte)(data), LeafSize)
		data = data[LeafSize:]
	}
	if len(data) > 0 {
		var last [LeafSize]byte
		t.leaf(&last, copy(last[:], data))
	}
}

func (t *leafTree) leaf(data *[LeafSize]byte, n int) {
	node := guts.CompressBuffer(data, n, &guts.IV, uint64(len(t.cvs))*chunksPerLeaf, 0)
	if t.size <= LeafSize {
		node.Flags |= guts.FlagRoot
	}
	t.cvs = append(t.cvs, guts.ChainingValue(node))
}

// finish returns the outboard: the length, and the tree's inner nodes in
// pre-order, each as its children's chaining values.
func (t *leafTree) finish() ([]byte, Hash) {
	if t.size == 0 {
		t.leaf(new([LeafSize]byte), 0)
	}
	out := make([]byte, OutboardSize(t.size))
	binary.LittleEndian.PutUint64(out, uint64(t.size))
	var root Hash
	putWords(root[:], t.subtree(out[8:], t.cvs, guts.FlagRoot))
	return out, root
}

const cvSize = 32 // bytes of a chaining value

// subtree writes the inner nodes over some leaves and returns their chaining
// value. The number of leaves on the left is the greatest power of two below that of
// all.
func (t *leafTree) subtree(out []byte, leaves [][8]uint32, flags uint32) [8]uint32 {
	if len(leaves) == 1 {
		return leaves[0]
	}
	mid := 1 << (bits.Len(uint(len(leaves)-1)) - 1)
	below := out[2*cvSize:]
	left := t.subtree(below, leaves[:mid], 0)
	right := t.subtree(below[(2*mid-2)*cvSize:], leaves[mid:], 0)
	putWords(out, left)
	putWords(out[cvSize:], right)
	return guts.ChainingValue(guts.ParentNode(left, right, &guts.IV, flags))
}

func putWords(b []byte, words [8]uint32) {
	for i, w := range words {
		binary.LittleEndian.PutUint32(b[4*i:], w)
	}
}
