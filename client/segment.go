package client

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"

	"github.com/zeebo/blake3"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/erasure"
)

// column is how many bytes of each shard are coded and hashed at a time: those
// of all shards stay in the processor's cache between the two.
const column = 128 << 10

// cacheSkew keeps neighbouring parity shards out of each other's cache sets.
const cacheSkew = 64

// mostSegment is less than the specification allows from k = 11 on: two segments of
// 20/36/56, and what is being sent of them, would take half a gigabyte of memory.
const mostSegment = 40 << 20

// segmentSize returns the most sealed bytes that this client puts into one
// segment. It reads longer ones all the same.
func segmentSize(k int) int64 { return min(protocol.SegmentSize(k), mostSegment) }

// segmentBuffer has room for the n shards of one segment. The k data shards
// lie one after another, so that sealed bytes are written where they stay.
type segmentBuffer struct {
	profile protocol.Profile
	data    []byte
	parity  []byte
}

func newSegmentBuffer(p protocol.Profile) *segmentBuffer {
	// All k shards of a full segment, each rounded up to a multiple of 64 bytes.
	shard := protocol.ShardSize(segmentSize(p.K), p.K)
	return &segmentBuffer{
		profile: p,
		data:    make([]byte, int64(p.K)*shard),
		parity:  make([]byte, int64(p.N-p.K)*(shard+cacheSkew)),
	}
}

// shards cuts the buffer into n shards of size bytes.
func (b *segmentBuffer) shards(size int64) [][]byte {
	out := make([][]byte, b.profile.N)
	for i := range out {
		if i < b.profile.K {
			out[i] = b.data[int64(i)*size:][:size:size]
		} else {
			out[i] = b.parity[int64(i-b.profile.K)*(size+cacheSkew):][:size:size]
		}
	}
	return out
}

// segment is a coded segment on its way to its holders.
type segment struct {
	buf    *segmentBuffer
	plain  int64  // bytes of its sources
	sum    uint32 // checksum of these, by sumTable; zero for a packed segment
	secret protocol.Secret
	key    protocol.Secret // of its one extent; zero where many are packed
	sealed int64           // bytes of all extents
	desc   *protocol.Descriptor
	bytes  []byte // of the descriptor
	id     protocol.SegmentID
	shards [][]byte
}

// extent returns the reference by which the segment's content is found again
// among a group's members. For a packed segment it has no key and opens nothing.
func (s *segment) extent(g protocol.GroupID) protocol.Extent {
	return protocol.Extent{Group: g, Segment: s.id, Secret: s.secret, Key: s.key, Offset: 0, Length: s.sealed}
}

// builder makes segments of one profile.
type builder struct {
	profile protocol.Profile
	code    *erasure.Code
	rand    io.Reader
}

func newBuilder(p protocol.Profile, random io.Reader) (*builder, error) {
	code, err := erasure.New(p.K, p.N)
	if err != nil {
		return nil, fmt.Errorf("code %s: %w", p, err)
	}
	return &builder{profile: p, code: code, rand: random}, nil
}

// build reads at most one segment's worth from src into buf, sealed under a
// key drawn for it alone. It returns nil at the end of src.
func (b *builder) build(ctx context.Context, src io.Reader, buf *segmentBuffer) (*segment, error) {
	x, err := b.sealExtent(src, buf, 0)
	if err != nil || x.plain == 0 {
		return nil, err
	}
	s := &segment{buf: buf, plain: x.plain, sum: x.sum, key: x.key, sealed: x.length}
	return s, b.finish(ctx, s)
}

// finish pads and codes a segment whose extents lie in its buffer.
func (b *builder) finish(ctx context.Context, s *segment) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	buf := s.buf
	size := min(padme(s.sealed), segmentSize(b.profile.K))
	if _, err := io.ReadFull(b.rand, buf.data[s.sealed:size]); err != nil {
		return fmt.Errorf("draw padding: %w", err)
	}
	shard := protocol.ShardSize(size, b.profile.K)
	clear(buf.data[size : shard*int64(b.profile.K)])
	s.shards = buf.shards(shard)
	roots, err := b.encode(s.shards, shard)
	if err != nil {
		return err
	}
	return b.describe(s, size, shard, roots)
}

func (b *builder) describe(s *segment, size, shard int64, roots []protocol.Hash) error {
	if _, err := io.ReadFull(b.rand, s.secret[:]); err != nil {
		return fmt.Errorf("draw segment secret: %w", err)
	}
	s.desc = &protocol.Descriptor{
		V: protocol.Version, K: b.profile.K, N: b.profile.N, Size: size, ShardSize: shard, Roots: roots,
		ReadKey: protocol.PublicKeyOf(seal.ReadKey(seal.Key(s.secret))),
	}
	s.bytes, s.id = s.desc.Encode()
	return s.desc.Validate()
}

// sumTable is for the checksum by which a put that is taken up again tells whether
// its source has changed. Only the owner ever sees the checksum.
var sumTable = crc32.MakeTable(crc32.Castagnoli)

// sealedExtent is an extent within a segment that is being made.
type sealedExtent struct {
	key         protocol.Secret
	off, length int64 // sealed bytes
	plain       int64
	sum         uint32 // of the plain bytes, by sumTable
}

// sealExtent seals what src gives, or as much as the segment has room for, as
// one extent at off. It reads each part into its place before it seals the one
// before it, because only then does it know which part is the last.
func (b *builder) sealExtent(src io.Reader, buf *segmentBuffer, off int64) (x sealedExtent, err error) {
	sealer, err := seal.NewSealer(b.rand)
	if err != nil {
		return x, fmt.Errorf("seal: %w", err)
	}
	room := seal.PlainCapacity(segmentSize(b.profile.K) - off)
	commitment := sealer.Commitment()
	out := append(buf.data[:off], commitment[:]...)
	part, err := readPart(src, buf.data, len(out), room)
	for err == nil && len(part) > 0 {
		x.plain += int64(len(part))
		x.sum = crc32.Update(x.sum, sumTable, part)
		var next []byte
		next, err = readPart(src, buf.data, len(out)+len(part)+seal.Overhead, room-x.plain)
		if err != nil {
			break
		}
		out, err = sealer.SealPart(out, part, len(next) == 0)
		part = next
	}
	x.key, x.off, x.length = protocol.Secret(sealer.Key()), off, int64(len(out))-off
	return x, err
}

// readPart reads the next part of at most room bytes to buf[at:]. It returns
// less than a whole part only at the end of src or of the room.
func readPart(src io.Reader, buf []byte, at int, room int64) ([]byte, error) {
	want := int(min(seal.PartSize, room))
	if want <= 0 {
		return nil, nil
	}
	n, err := io.ReadFull(src, buf[at:at+want])
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		err = nil
	}
	return buf[at : at+n], err
}

// encode makes the parity shards and every shard's root.
func (b *builder) encode(shards [][]byte, size int64) ([]protocol.Hash, error) {
	hashers := make([]*blake3.Hasher, len(shards))
	for i := range hashers {
		hashers[i] = blake3.New()
	}
	cols := make([][]byte, len(shards))
	for lo := int64(0); lo < size; lo += column {
		for i, s := range shards {
			cols[i] = s[lo:min(lo+column, size)]
		}
		if err := b.code.Encode(cols); err != nil {
			return nil, fmt.Errorf("code segment: %w", err)
		}
		for i, c := range cols {
			_, _ = hashers[i].Write(c) // never fails
		}
	}
	roots := make([]protocol.Hash, len(shards))
	for i, h := range hashers {
		h.Sum(roots[i][:0])
	}
	return roots, nil
}

// padme rounds a length up so that at most 12 % is added and only O(log log n)
// bits of it leak (Nikitin et al., PETS 2019).
func padme(n int64) int64 {
	if n < 2 {
		return n
	}
	exp := bits.Len64(uint64(n)) - 1
	keep := bits.Len(uint(exp))
	mask := int64(1)<<max(0, exp-keep) - 1
	return (n + mask) &^ mask
}
