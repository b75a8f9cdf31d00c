package protocol

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// leafContext keeps the choice of leaves apart from whatever else is hashed.
const leafContext = "cairn/v1/leaf\x00"

// Half is one side's random 32 bytes of a challenge.
type Half [32]byte

// String returns the half as 64 lower-case hexadecimal digits.
func (h Half) String() string { return hex.EncodeToString(h[:]) }

// DrawHalf reads a half from a random source, and fails only where that does.
func DrawHalf(random io.Reader) (h Half, err error) {
	if _, err := io.ReadFull(random, h[:]); err != nil {
		return Half{}, fmt.Errorf("draw half of a challenge: %w", err)
	}
	return h, nil
}

// Commit returns what fixes the half without telling it: its BLAKE3-256.
func (h Half) Commit() Hash { return Sum(h[:]) }

// CheckCommit reports ErrForged unless secret is what commit fixed.
func CheckCommit(commit Hash, secret Half) error {
	if secret.Commit() != commit {
		return Refuse(CodeForged, "secret of another challenge")
	}
	return nil
}

// Challenge is what selects the leaves of an audit. Neither side chooses them:
// the asker's half is fixed before it sees the holder's, and the holder's is
// given before it sees the asker's (SPEC.md, Audit).
type Challenge struct {
	Secret Half // the asker's
	Nonce  Half // the holder's
}

// Leaf returns the number of the leaf to prove of a shard of shardSize bytes,
// from 0. Of the at most 256 leaves none is likelier than another by more than
// one part in 2^56.
func (c Challenge) Leaf(s ShardRef, shardSize int64) int64 {
	b := make([]byte, 0, len(leafContext)+3*32+1)
	b = append(append(append(b, leafContext...), c.Secret[:]...), c.Nonce[:]...)
	b = append(append(b, s.Segment[:]...), byte(s.Slot))
	h := Sum(b)
	return int64(binary.BigEndian.Uint64(h[:8]) % uint64(Leaves(shardSize)))
}

// LeafRange returns where a leaf lies in a shard of shardSize bytes: the range
// of the slice that proves it.
func LeafRange(leaf, shardSize int64) (off, length int64) {
	off = leaf * LeafSize
	return off, min(LeafSize, shardSize-off)
}

// Check reports ErrForged unless slice proves the challenged leaf of a shard
// of the segment that d describes. d must be the descriptor of s.Segment.
func (c Challenge) Check(s ShardRef, d *Descriptor, slice []byte) error {
	if s.Slot < 0 || s.Slot >= len(d.Roots) {
		return fmt.Errorf("slot %d of %d: %w", s.Slot, len(d.Roots), ErrForged)
	}
	off, length := LeafRange(c.Leaf(s, d.ShardSize), d.ShardSize)
	_, err := VerifySlice(slice, off, length, d.ShardSize, d.Roots[s.Slot])
	return err
}
