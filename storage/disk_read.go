package storage

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// lookups is how many times a record is looked up if compaction keeps moving it.
const lookups = 10

// record is a live record, open for reading.
type record struct {
	*logFile
	entry
	header
	body []byte // the descriptor, or a fact's bytes
}

// openRecord finds a record and reads its header and the beginning of its body:
// of a shard the descriptor, of a fact everything. want tells which record it
// must be.
func (d *Disk) openRecord(ctx context.Context, want *header) (*record, error) {
	err := ctx.Err()
	if err == nil {
		err = d.usable()
	}
	if err != nil {
		return nil, err
	}
	bucket, key := want.recordKey()
	for range lookups {
		e, err := d.index.find(bucket, key)
		if err != nil {
			return nil, d.unindexed(err)
		}
		if e == nil {
			return nil, ErrNotFound
		}
		r, err := d.readRecord(e, want)
		if errors.Is(err, errNoLog) {
			continue
		}
		if errors.Is(err, ErrCorrupt) {
			d.damage.add(touch(want))
		}
		return r, err
	}
	return nil, fmt.Errorf("%w: it moves all the time", ErrCorrupt)
}

func (d *Disk) readRecord(e *entry, want *header) (_ *record, err error) {
	l, err := d.logs.use(e.log)
	if err != nil {
		return nil, d.unread(err)
	}
	defer func() {
		if err != nil {
			l.done()
		}
	}()
	n, sum := e.desc, uint32(0)
	if want.kind == factRecord {
		n = e.data
	}
	b := make([]byte, headerSize+int(n))
	if _, err := l.ReadAt(b, e.off); err != nil {
		return nil, d.unread(fmt.Errorf("read log %d at %d: %w", e.log, e.off, err))
	}
	h, err := parseHeader(b, &d.key, e.place)
	if err != nil || h.kind != want.kind || h.id != want.id || h.slot != want.slot || h.group != e.group ||
		h.desc != e.desc || h.outboard != e.outboard || h.data != e.data {
		return nil, fmt.Errorf("log %d at %d: %w: header", e.log, e.off, ErrCorrupt)
	}
	if sum = h.descSum; want.kind == factRecord {
		sum = h.dataSum
	}
	if checksum(b[headerSize:]) != sum {
		return nil, fmt.Errorf("log %d at %d: %w: checksum", e.log, e.off, ErrCorrupt)
	}
	return &record{logFile: l, entry: *e, header: h, body: b[headerSize:]}, nil
}

// unread returns the error of a failed read. It tells a missing disk, or a store
// that was closed meanwhile, from a disk that reads badly.
func (d *Disk) unread(err error) error {
	if closed := d.usable(); closed != nil {
		return closed
	}
	if errors.Is(err, errNoLog) {
		return err
	}
	if gone := present(&d.cfg); gone != nil {
		return gone
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// unindexed returns the error of reading the index: it fails the store, unless
// that was closed meanwhile.
func (d *Disk) unindexed(err error) error {
	if closed := d.usable(); closed != nil {
		return closed
	}
	return d.spoil(err)
}

func shardWanted(key ShardKey) *header {
	return &header{kind: shardRecord, slot: key.Slot, id: key.Segment}
}

// OpenShard implements Store.
func (d *Disk) OpenShard(ctx context.Context, key ShardKey) (ShardReader, error) {
	r, err := d.openRecord(ctx, shardWanted(key))
	if err != nil {
		return nil, fmt.Errorf("open shard %s: %w", key, err)
	}
	at := r.entry.off + headerSize + int64(r.header.desc)
	return &diskReader{
		disk: d, r: r, outboard: at,
		SectionReader: io.NewSectionReader(r.logFile, at+int64(r.header.outboard), int64(r.header.data)),
	}, nil
}

// diskReader is a ShardReader of a Disk.
type diskReader struct {
	*io.SectionReader // the data
	disk              *Disk
	r                 *record
	outboard          int64 // where it begins
	once              sync.Once
}

// Info implements ShardReader.
func (r *diskReader) Info() ShardInfo {
	h := &r.r.header
	return ShardInfo{Key: h.shardKey(), Group: h.group, Size: int64(h.data), Stored: time.Unix(0, h.stored)}
}

// Descriptor implements ShardReader.
func (r *diskReader) Descriptor() []byte { return r.r.body }

// Outboard implements ShardReader.
func (r *diskReader) Outboard() ([]byte, error) {
	h := &r.r.header
	b := make([]byte, h.outboard)
	if _, err := r.r.ReadAt(b, r.outboard); err != nil {
		return nil, fmt.Errorf("read outboard of %s: %w", h.shardKey(), r.disk.unread(err))
	}
	if checksum(b) != h.outSum {
		r.disk.damage.add(touch(h))
		return nil, fmt.Errorf("read outboard of %s: %w", h.shardKey(), ErrCorrupt)
	}
	return b, nil
}

// readStep is how many bytes are read before their checksum is taken: they are
// still in the processor's cache then.
const readStep = 128 << 10

// ReadAll implements ShardReader.
func (r *diskReader) ReadAll(dst []byte) error {
	h := &r.r.header
	if len(dst) != int(h.data) {
		return fmt.Errorf("read %s into %d bytes: %w", h.shardKey(), len(dst), ErrLimit)
	}
	sum := uint32(0)
	for lo := 0; lo < len(dst); lo += readStep {
		step := dst[lo:min(lo+readStep, len(dst))]
		if _, err := r.ReadAt(step, int64(lo)); err != nil {
			return r.bad(r.disk.unread(err))
		}
		sum = crc32.Update(sum, castagnoli, step)
	}
	if sum != h.dataSum {
		return r.bad(ErrCorrupt)
	}
	return nil
}

// bad notes damage that was met while reading, and adds to the error what was
// read.
func (r *diskReader) bad(err error) error {
	if errors.Is(err, ErrCorrupt) {
		r.disk.damage.add(touch(&r.r.header))
	}
	return fmt.Errorf("read %s: %w", r.r.header.shardKey(), err)
}

// Close implements ShardReader.
func (r *diskReader) Close() error {
	r.once.Do(r.r.done)
	return nil
}

// Verify implements Store.
func (d *Disk) Verify(ctx context.Context, key ShardKey) error {
	r, err := d.openRecord(ctx, shardWanted(key))
	if err == nil {
		err = intact(r.logFile, &r.header, r.entry.place, make([]byte, window))
		r.done()
		switch {
		case errors.Is(err, ErrCorrupt):
			d.damage.add(touch(&r.header))
		case err != nil:
			err = d.unread(err)
		}
	}
	if err != nil {
		return fmt.Errorf("verify shard %s: %w", key, err)
	}
	return nil
}

// Find implements Store.
func (d *Disk) Find(ctx context.Context, s protocol.SegmentID) (ShardKey, error) {
	rows, err := d.rows(ctx, bucketShards, s)
	if err == nil && len(rows) == 0 {
		err = ErrNotFound
	}
	if err == nil && len(rows[0].key) != len(s)+1 {
		err = errIndex
	}
	if err != nil {
		return ShardKey{}, fmt.Errorf("find segment %s: %w", s, err)
	}
	return ShardKey{Segment: s, Slot: rows[0].key[len(s)]}, nil
}

// rows scans the index.
func (d *Disk) rows(ctx context.Context, bucket string, head [32]byte) ([]row, error) {
	err := ctx.Err()
	if err == nil {
		err = d.usable()
	}
	if err != nil {
		return nil, err
	}
	rows, err := d.index.scan(bucket, head)
	if err != nil {
		return nil, d.unindexed(err)
	}
	return rows, nil
}

// GroupByPrefix implements Store.
func (d *Disk) GroupByPrefix(ctx context.Context, p protocol.GroupPrefix) (protocol.GroupID, error) {
	err := ctx.Err()
	if err == nil {
		err = d.usable()
	}
	if err == nil {
		var keys [][32]byte
		keys, err = d.index.page(bucketGroups, p[:], 1)
		switch {
		case err != nil:
			err = d.unindexed(err)
		case len(keys) == 1 && protocol.GroupID(keys[0]).Prefix() == p:
			return keys[0], nil
		default:
			err = ErrNotFound
		}
	}
	return protocol.GroupID{}, fmt.Errorf("find group %s: %w", p, err)
}

// Groups implements Store.
func (d *Disk) Groups(ctx context.Context) iter.Seq2[protocol.GroupID, error] {
	return func(yield func(protocol.GroupID, error) bool) {
		err := d.usable()
		if err == nil {
			for g, failed := range d.index.eachGroup() {
				if err = ctx.Err(); err == nil && failed != nil {
					err = d.unindexed(failed)
				}
				if err != nil {
					break
				}
				if !yield(g, nil) {
					return
				}
			}
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			yield(protocol.GroupID{}, fmt.Errorf("list groups: %w", err))
		}
	}
}
