package protocol

import (
	"fmt"
	"math/bits"

	"lukechampine.com/blake3/bao"
	"lukechampine.com/blake3/guts"
)

// ChunkSize is the unit of audits, in bytes: BLAKE3's own chunk, the smallest
// part of a shard that its root proves.
const ChunkSize = guts.ChunkSize

// MaxChunkSlice is the greatest length in bytes of the slice that proves one
// chunk: the shard's length, a parent on each of twelve levels, the chunk.
const MaxChunkSlice = 8 + 12*2*cvSize + ChunkSize

// Chunks returns how many chunks a shard of n bytes has; never less than one.
func Chunks(n int64) int64 { return max(1, (n+ChunkSize-1)/ChunkSize) }

// ChunkRange returns where a chunk, counted from 0, lies in a shard of size
// bytes. AlignRange widens it to the leaf that ChunkSlice needs.
func ChunkRange(chunk, size int64) (off, length int64) {
	off = chunk * ChunkSize
	return off, min(ChunkSize, size-off)
}

// ChunkSlice returns the slice that proves one chunk of a shard of size bytes
// against root. leaf holds the bytes of the leaf in which the chunk lies;
// outboard is the whole shard's. The outboard ends at leaves, so the whole leaf is
// hashed for the tree between it and the chunk: ErrForged says that leaf, outboard
// and root do not fit each other, wherever in the leaf the damage is.
func ChunkSlice(leaf, outboard []byte, chunk, size int64, root Hash) ([]byte, error) {
	if chunk < 0 || size <= 0 || chunk >= Chunks(size) {
		return nil, fmt.Errorf("chunk %d of a shard of %d bytes: %w", chunk, size, ErrForged)
	}
	off, length := ChunkRange(chunk, size)
	lo, n := AlignRange(off, length, size)
	if int64(len(leaf)) != n || int64(len(outboard)) != OutboardSize(size) || leUint64(outboard) != uint64(size) {
		return nil, fmt.Errorf("leaf of %d bytes, outboard of %d: %w", len(leaf), len(outboard), ErrForged)
	}
	slice, err := Slice(leaf, outboard, off, length)
	if err != nil {
		return nil, err
	}
	slice, _ = appendChunk(slice[:len(slice)-len(leaf)], leaf, lo/ChunkSize, chunk)
	if _, err := VerifyChunk(slice, chunk, size, root); err != nil {
		return nil, fmt.Errorf("chunk %d of a shard of %d bytes: %w", chunk, size, err)
	}
	return slice, nil
}

// appendChunk appends what a slice has below the node over data, whose first chunk
// has the number first: the parents down to the chunk, and the chunk. It returns the
// node's chaining value as well; the node must not be the root. What is not on the
// path is hashed as a whole, so all of data is hashed once.
func appendChunk(slice, data []byte, first, chunk int64) ([]byte, [8]uint32) {
	if len(data) <= ChunkSize {
		return append(slice, data...), chainingValue(data, first)
	}
	mid := 1 << (bits.Len(uint(len(data)-1)) - 1)
	second := first + int64(mid/ChunkSize)
	at := len(slice)
	slice = append(slice, make([]byte, 2*cvSize)...)
	var left, right [8]uint32
	if chunk < second {
		slice, left = appendChunk(slice, data[:mid], first, chunk)
		right = chainingValue(data[mid:], second)
	} else {
		left = chainingValue(data[:mid], first)
		slice, right = appendChunk(slice, data[mid:], second, chunk)
	}
	putWords(slice[at:], left)
	putWords(slice[at+cvSize:], right)
	return slice, guts.ChainingValue(guts.ParentNode(left, right, &guts.IV, 0))
}

// chainingValue hashes data, at most a leaf and not the whole shard, whose first
// chunk has the number first in the shard.
func chainingValue(data []byte, first int64) [8]uint32 {
	var leaf [LeafSize]byte
	n := copy(leaf[:], data)
	return guts.ChainingValue(guts.CompressBuffer(&leaf, n, &guts.IV, uint64(first), 0))
}

// VerifyChunk returns the bytes of the chunk that slice proves against root,
// the hash of a shard of size bytes. It returns ErrForged for a slice of another
// shard, another chunk or another shard size.
func VerifyChunk(slice []byte, chunk, size int64, root Hash) ([]byte, error) {
	if chunk < 0 || size <= 0 || chunk >= Chunks(size) || len(slice) > MaxChunkSlice {
		return nil, ErrForged // for no bytes bao would accept any root
	}
	if len(slice) < 8 || leUint64(slice) != uint64(size) {
		return nil, ErrForged // bao trusts the encoded length; we do not
	}
	off, length := ChunkRange(chunk, size)
	data, ok := bao.VerifySlice(slice, 0, uint64(off), uint64(length), root)
	if !ok || int64(len(data)) != length {
		return nil, ErrForged
	}
	return data, nil
}
