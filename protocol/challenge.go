package protocol

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
)

// chunkContext keeps these hashes apart from all others.
const chunkContext = "cairn/v1/chunk\x00"

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

// Commit returns what fixes the half without revealing it: its BLAKE3-256.
func (h Half) Commit() Hash { return Sum(h[:]) }

// CheckCommit reports ErrForged unless commit is the commitment to secret.
func CheckCommit(commit Hash, secret Half) error {
	if secret.Commit() != commit {
		return Refuse(CodeForged, "secret of another challenge")
	}
	return nil
}

// Challenge selects the chunks of an audit. Neither side can choose them: the
// asker's half is fixed before the asker sees the holder's, and the holder gives its
// half before it sees the asker's (SPEC.md, Audit).
type Challenge struct {
	Secret Half // the asker's
	Nonce  Half // the holder's
}

// Chunk returns the number, from 0, of the chunk to prove of a shard of shardSize
// bytes. None of the at most 4,096 chunks is likelier than another by more than one
// part in 2^52.
func (c Challenge) Chunk(s ShardRef, shardSize int64) int64 {
	b := make([]byte, 0, len(chunkContext)+3*32+1)
	b = append(append(append(b, chunkContext...), c.Secret[:]...), c.Nonce[:]...)
	b = append(append(b, s.Segment[:]...), byte(s.Slot))
	h := Sum(b)
	return int64(binary.BigEndian.Uint64(h[:8]) % uint64(Chunks(shardSize)))
}

// Check reports ErrForged unless slice proves the challenged chunk of a shard
// of the segment that d describes. d must be the descriptor of s.Segment.
func (c Challenge) Check(s ShardRef, d *Descriptor, slice []byte) error {
	if s.Slot < 0 || s.Slot >= len(d.Roots) {
		return fmt.Errorf("slot %d of %d: %w", s.Slot, len(d.Roots), ErrForged)
	}
	_, err := VerifyChunk(slice, c.Chunk(s, d.ShardSize), d.ShardSize, d.Roots[s.Slot])
	return err
}
