package protocol

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/ipfs/go-cid"
	"github.com/multiformats/go-multihash"
	"github.com/zeebo/blake3"
)

// Hash is a BLAKE3-256 digest: the root of a shard, the name of a fact.
type Hash [32]byte

// Sum returns the BLAKE3-256 digest of b.
func Sum(b []byte) Hash { return blake3.Sum256(b) }

// String returns the digest as 64 lower-case hexadecimal digits.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// CompareIDs orders hashes and the names that are hashes, byte by byte.
func CompareIDs[ID ~[32]byte](a, b ID) int { return bytes.Compare(a[:], b[:]) }

// GroupID names a group: the BLAKE3-256 digest of its record's bytes.
type GroupID [32]byte

// String returns the ID as 64 lower-case hexadecimal digits.
func (g GroupID) String() string { return hex.EncodeToString(g[:]) }

// Prefix returns the first 16 bytes, by which links and the DHT name a group.
func (g GroupID) Prefix() GroupPrefix { return GroupPrefix(g[:16]) }

// GroupPrefix is the first 16 bytes of a GroupID.
type GroupPrefix [16]byte

// String returns the prefix as 32 lower-case hexadecimal digits.
func (p GroupPrefix) String() string { return hex.EncodeToString(p[:]) }

// PointerID names a pointer: the first 16 bytes of the BLAKE3-256 digest of
// its public key.
type PointerID [16]byte

// String returns the ID as 32 lower-case hexadecimal digits.
func (p PointerID) String() string { return hex.EncodeToString(p[:]) }

// SegmentID names a segment: the BLAKE3-256 digest of its descriptor's bytes,
// which is the multihash digest of the CID that people and logs see.
type SegmentID [32]byte

// CID returns the segment's name as a CIDv1 (dag-cbor, blake3).
func (s SegmentID) CID() cid.Cid {
	mh, err := multihash.Encode(s[:], multihash.BLAKE3)
	if err != nil {
		panic(err) // a fixed code and a digest of fixed length always encode
	}
	return cid.NewCidV1(cid.DagCBOR, mh)
}

// String returns the CID in base32.
func (s SegmentID) String() string { return s.CID().String() }

// ParseSegmentID reads a CID as String writes it.
func ParseSegmentID(text string) (SegmentID, error) {
	c, err := cid.Decode(text)
	if err != nil {
		return SegmentID{}, fmt.Errorf("segment %q: %w", text, err)
	}
	p := c.Prefix()
	if p.Version != 1 || p.Codec != cid.DagCBOR || p.MhType != multihash.BLAKE3 || p.MhLength != 32 {
		return SegmentID{}, fmt.Errorf("segment %q: %w", text, errSegmentCID)
	}
	d, err := multihash.Decode(c.Hash())
	if err != nil {
		return SegmentID{}, fmt.Errorf("segment %q: %w", text, err)
	}
	return SegmentID(d.Digest), nil
}

var errSegmentCID = errors.New("not a CIDv1 of dag-cbor under blake3-256")
