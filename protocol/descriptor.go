package protocol

import "fmt"

// Version is the version of every record and message of this specification.
const Version = 1

// MaxDescriptor bounds a descriptor's bytes.
const MaxDescriptor = 8 << 10

// Descriptor is the public record of a segment: enough to check and repair each
// shard, and nothing that can be read (SPEC.md, Descriptor).
type Descriptor struct {
	V         int       `cbor:"v"`
	K         int       `cbor:"k"`
	N         int       `cbor:"n"`
	Size      int64     `cbor:"size"`      // sealed bytes with their padding
	ShardSize int64     `cbor:"shardSize"` // bytes of each shard
	Roots     []Hash    `cbor:"roots"`     // BLAKE3-256 of each shard, by slot
	ReadKey   PublicKey `cbor:"readKey"`   // verifies read proofs
}

// Validate checks every bound before anything is allocated by them.
func (d *Descriptor) Validate() error {
	switch {
	case d.V != Version:
		return Refuse(CodeVersion, "descriptor: version %d", d.V)
	case d.K < 1 || d.N < d.K || d.N > MaxShards || d.N > 5*d.K:
		return malformed("descriptor", "k %d, n %d", d.K, d.N)
	case len(d.Roots) != d.N:
		return malformed("descriptor", "%d roots for n %d", len(d.Roots), d.N)
	case d.Size < 1 || d.Size > SegmentSize(d.K):
		return malformed("descriptor", "%d bytes at k %d", d.Size, d.K)
	case d.ShardSize != ShardSize(d.Size, d.K):
		return malformed("descriptor", "shards of %d bytes for %d at k %d", d.ShardSize, d.Size, d.K)
	case smallOrder(d.ReadKey[:]):
		return malformed("descriptor", "read key of small order")
	}
	return nil
}

// Encode returns the descriptor's bytes and the segment's name, their hash.
func (d *Descriptor) Encode() ([]byte, SegmentID) {
	b := mustEncode(d)
	return b, SegmentID(Sum(b))
}

// Footprint returns the bytes that all n holders keep for the segment: shards,
// outboards and descriptors. A grant names this number.
func (d *Descriptor) Footprint() int64 {
	desc, _ := d.Encode()
	return int64(d.N) * (d.ShardSize + OutboardSize(d.ShardSize) + int64(len(desc)))
}

// ParseDescriptor decodes and validates a descriptor.
func ParseDescriptor(b []byte) (*Descriptor, error) {
	if len(b) > MaxDescriptor {
		return nil, malformed("descriptor", "%d bytes", len(b))
	}
	d := new(Descriptor)
	if err := Decode("descriptor", b, d); err != nil {
		return nil, err
	}
	if err := d.Validate(); err != nil {
		return nil, err
	}
	return d, nil
}

// OpenDescriptor is ParseDescriptor for bytes that must be the segment's own.
func OpenDescriptor(b []byte, id SegmentID) (*Descriptor, error) {
	d, err := ParseDescriptor(b)
	if err != nil {
		return nil, err
	}
	if SegmentID(Sum(b)) != id {
		return nil, fmt.Errorf("descriptor of %s: %w", id, ErrForged)
	}
	return d, nil
}
