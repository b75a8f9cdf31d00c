package protocol

import (
	"bytes"
	"errors"
	"fmt"

	"lukechampine.com/blake3/bao"
)

// LeafSize is the unit of checking and of range reads, in bytes. A shard is
// hashed as BLAKE3 over chunks of 1 KiB; bao groups 2^leafGroup of them.
const (
	LeafSize  = 16 << 10
	leafGroup = 4
)

// ErrForged says that bytes do not fit the hash by which they were asked for.
var ErrForged = errors.New("bytes do not fit their hash")

// Leaves returns how many leaves a shard of n bytes has; never less than one.
func Leaves(n int64) int64 { return max(1, (n+LeafSize-1)/LeafSize) }

// AlignRange widens [off, off+length) of a shard of size bytes to whole leaves.
func AlignRange(off, length, size int64) (alignedOff, alignedLength int64) {
	lo := off / LeafSize * LeafSize
	hi := min(size, (off+length+LeafSize-1)/LeafSize*LeafSize)
	return lo, hi - lo
}

// SliceSize returns the greatest length in bytes of the slice that proves
// length bytes of a shard of size bytes.
func SliceSize(length, size int64) int64 {
	leaves := min(Leaves(size), Leaves(length)+1)
	depth := int64(2) // each edge of the range has a path of its own
	for n := Leaves(size); n > 1; n = (n + 1) / 2 {
		depth += 2
	}
	return 8 + leaves*(LeafSize+64) + depth*64
}

// Slice returns the bao slice that proves the range [off, off+length) of a
// shard. leaves holds the shard's bytes of exactly that range widened by AlignRange;
// outboard is the whole shard's.
func Slice(leaves, outboard []byte, off, length int64) ([]byte, error) {
	var out bytes.Buffer
	out.Grow(len(leaves) + 4096)
	err := bao.ExtractSlice(&out, bytes.NewReader(leaves), bytes.NewReader(outboard), leafGroup, uint64(off), uint64(length))
	if err != nil {
		return nil, fmt.Errorf("cut a slice of %d bytes at %d: %w", length, off, err)
	}
	return out.Bytes(), nil
}

// VerifySlice returns the bytes [off, off+length) that slice proves against
// root, the hash of a shard of size bytes. It returns ErrForged for a slice
// of another shard, another range or another shard size.
func VerifySlice(slice []byte, off, length, size int64, root Hash) ([]byte, error) {
	if off < 0 || length <= 0 || off+length > size || int64(len(slice)) > SliceSize(length, size) {
		return nil, ErrForged
	}
	if len(slice) < 8 || leUint64(slice) != uint64(size) {
		return nil, ErrForged // bao trusts the encoded length; we do not
	}
	data, ok := bao.VerifySlice(slice, leafGroup, uint64(off), uint64(length), root)
	if !ok || int64(len(data)) != length {
		return nil, ErrForged
	}
	return data, nil
}

func leUint64(b []byte) (v uint64) {
	for i := 7; i >= 0; i-- {
		v = v<<8 | uint64(b[i])
	}
	return v
}
