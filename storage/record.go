package storage

import (
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// A log is a sequence of records, each at a multiple of 8 bytes:
//
//	header      144 bytes, little-endian:
//	   0  magic         8 bytes
//	   8  version       1, kind 1, slot 1, kind of fact 1
//	  12  lengths       of descriptor, outboard and data, 4 each
//	  24  stored        8: nanoseconds since 1970
//	  32  group         32
//	  64  ID            32: segment, or fact
//	  96  checksums     CRC-32C of descriptor, outboard and data, 4 each
//	 108  zero          4
//	 112  victim        log 8, offset 8: the place of the record that this one kills
//	 128  seal          16: BLAKE3(store's key ‖ log ‖ offset ‖ the 128 bytes above)
//	descriptor ‖ outboard ‖ data ‖ zeros up to a multiple of 8
//
// Only the seal makes bytes a record: peers choose the data, and could put into
// it what looks like records. Since the seal covers the store's key and the
// place, only what this store itself wrote there passes for a record.
const (
	recordMagic   = "\xca\x12\x4e\x0d\x0areC"
	recordVersion = 1
	headerSize    = 144
	sealedSize    = 128 // how much of the header the seal covers
	sealSize      = 16
	recordAlign   = 8
)

// recordKind says what a record states.
type recordKind uint8

// The kinds of records. ONLY APPEND TO THIS LIST.
const (
	startRecord     recordKind = 1 // the first of each log: the store's key (as group) and ID
	shardRecord     recordKind = 2
	factRecord      recordKind = 3 // its bytes are the data
	shardKillRecord recordKind = 4 // the shard's record at victim is dead
	factKillRecord  recordKind = 5 // the fact's record at victim is dead
)

// place is where a record lies. No two records ever lie in the same place.
type place struct {
	log uint64
	off int64
}

// header is a record without its body.
type header struct {
	kind     recordKind
	slot     uint8
	factKind uint8
	desc     uint32 // bytes
	outboard uint32
	data     uint32
	stored   int64 // nanoseconds since 1970
	group    protocol.GroupID
	id       [32]byte
	descSum  uint32
	outSum   uint32
	dataSum  uint32
	victim   place
}

var (
	errNoRecord  = errors.New("no record of this store") // magic or seal do not fit
	errNewRecord = errors.New("a record of a later version")
	castagnoli   = crc32.MakeTable(crc32.Castagnoli)
)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// recordSize returns a record's length on the disk in bytes.
func recordSize(desc, outboard, data int) int64 {
	n := int64(headerSize) + int64(desc) + int64(outboard) + int64(data)
	return (n + recordAlign - 1) &^ (recordAlign - 1)
}

func (h *header) size() int64 { return recordSize(int(h.desc), int(h.outboard), int(h.data)) }

func (s *Shard) recordSize() int64 {
	return recordSize(len(s.Descriptor), len(s.Outboard), len(s.Data))
}

func (f *Fact) recordSize() int64 { return recordSize(0, 0, len(f.Bytes)) }

// shardHeader describes a shard's record. It reads all of the shard, except data
// whose checksum the caller has taken.
func shardHeader(s *Shard, now time.Time) header {
	sum := s.Sum
	if sum == nil {
		sum = new(Sum)
		_, _ = sum.Write(s.Data)
	}
	return header{
		kind: shardRecord, slot: s.Key.Slot, group: s.Group, id: s.Key.Segment, stored: now.UnixNano(),
		desc: uint32(len(s.Descriptor)), outboard: uint32(len(s.Outboard)), data: uint32(len(s.Data)),
		descSum: checksum(s.Descriptor), outSum: checksum(s.Outboard), dataSum: sum.crc,
	}
}

func factHeader(f *Fact, id protocol.Hash, now time.Time) header {
	return header{
		kind: factRecord, factKind: f.Kind, group: f.Group, id: id, stored: now.UnixNano(),
		data: uint32(len(f.Bytes)), dataSum: checksum(f.Bytes),
	}
}

// kill describes the record that says that h, lying at victim, is dead.
func (h *header) kill(victim place, now time.Time) header {
	k := header{kind: shardKillRecord, slot: h.slot, group: h.group, id: h.id, victim: victim, stored: now.UnixNano()}
	if h.kind == factRecord {
		k.kind, k.factKind = factKillRecord, h.factKind
	}
	return k
}

// isKill reports whether the record only says that another one is dead.
func (h *header) isKill() bool { return h.kind == shardKillRecord || h.kind == factKillRecord }

func (h *header) shardKey() ShardKey { return ShardKey{Segment: h.id, Slot: h.slot} }

// storeKey is the secret of one store that seals its records.
type storeKey [32]byte

// seal returns what proves that this store wrote head at a place.
func (k *storeKey) seal(at place, head []byte) [sealSize]byte {
	var b [len(k) + 16 + sealedSize]byte
	copy(b[:], k[:])
	binary.LittleEndian.PutUint64(b[len(k):], at.log)
	binary.LittleEndian.PutUint64(b[len(k)+8:], uint64(at.off))
	copy(b[len(k)+16:], head[:sealedSize])
	sum := protocol.Sum(b[:])
	return [sealSize]byte(sum[:sealSize])
}

// appendTo appends the header, sealed for its place.
func (h *header) appendTo(b []byte, key *storeKey, at place) []byte {
	le, begin := binary.LittleEndian, len(b)
	b = append(b, recordMagic...)
	b = append(b, recordVersion, byte(h.kind), h.slot, h.factKind)
	b = le.AppendUint32(b, h.desc)
	b = le.AppendUint32(b, h.outboard)
	b = le.AppendUint32(b, h.data)
	b = le.AppendUint64(b, uint64(h.stored))
	b = append(b, h.group[:]...)
	b = append(b, h.id[:]...)
	b = le.AppendUint32(b, h.descSum)
	b = le.AppendUint32(b, h.outSum)
	b = le.AppendUint32(b, h.dataSum)
	b = le.AppendUint32(b, 0)
	b = le.AppendUint64(b, h.victim.log)
	b = le.AppendUint64(b, uint64(h.victim.off))
	s := key.seal(at, b[begin:])
	return append(b, s[:]...)
}

// parseHeader reads the header at a place. errNoRecord says that this store
// wrote no record there, or that it rotted since.
func parseHeader(b []byte, key *storeKey, at place) (header, error) {
	if len(b) < headerSize || string(b[:len(recordMagic)]) != recordMagic {
		return header{}, errNoRecord
	}
	s := key.seal(at, b)
	if subtle.ConstantTimeCompare(s[:], b[sealedSize:headerSize]) != 1 {
		return header{}, errNoRecord
	}
	le := binary.LittleEndian
	h := header{
		kind: recordKind(b[9]), slot: b[10], factKind: b[11],
		desc: le.Uint32(b[12:]), outboard: le.Uint32(b[16:]), data: le.Uint32(b[20:]),
		stored: int64(le.Uint64(b[24:])), group: [32]byte(b[32:64]), id: [32]byte(b[64:96]),
		descSum: le.Uint32(b[96:]), outSum: le.Uint32(b[100:]), dataSum: le.Uint32(b[104:]),
		victim: place{le.Uint64(b[112:]), int64(le.Uint64(b[120:]))},
	}
	if b[8] != recordVersion || h.kind < startRecord || h.kind > factKillRecord ||
		h.desc > MaxDescriptor || h.outboard > MaxOutboard || h.data > MaxData {
		return header{}, errNewRecord
	}
	return h, nil
}
