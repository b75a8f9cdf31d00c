package storage

import (
	"errors"
	"time"
)

// Bounds of one group commit. A batch ends earlier when no request waits: the
// next batch gathers while this one is synced.
const (
	maxBatch        = 8 << 20 // bytes
	maxBatchRecords = 4096
)

var (
	// errLater says that a request must go into the next batch, since it depends
	// on what this one does.
	errLater = errors.New("not in this batch")

	// errRoom says that there is no room until the space of dead records is
	// reclaimed.
	errRoom = errors.New("dead records take the room")
)

// batch is what one write and one sync make durable: consecutive records in one
// log.
//
// Where a record replaces another one, the kill of the old one is written and
// synced in a second step: otherwise a crash that keeps later bytes and loses
// earlier ones would lose both.
type batch struct {
	disk      *Disk
	now       time.Time
	begin     int64 // offset in the log
	size      int64
	records   []placed
	second    []placed            // the replaced records, to be killed
	touched   map[string]struct{} // bucket and key of what changes
	scratch   []byte              // headers, small parts, padding
	stretches []stretch
	bufs      [][]byte
}

// placed is a record and where it will lie.
type placed struct {
	h  header
	at place
}

// stretch is a run of a batch's bytes: data of a caller, or a range of the
// scratch memory.
type stretch struct {
	data   []byte
	lo, hi int
}

// smallPart is the length up to which a part is copied rather than written from
// where it is, in bytes: one more vector costs the kernel about as much.
const smallPart = 4 << 10

// reset begins a batch at the end of the active log.
func (b *batch) reset(now time.Time) {
	b.now, b.begin, b.size = now, b.disk.active.end, 0
	b.records, b.second, b.scratch = b.records[:0], b.second[:0], b.scratch[:0]
	clear(b.stretches) // keep no caller's memory alive
	clear(b.bufs)
	b.stretches, b.bufs = b.stretches[:0], b.bufs[:0]
	clear(b.touched)
}

// mark is where a batch stood; undo goes back there.
type mark struct {
	size                                int64
	records, second, scratch, stretches int
}

func (b *batch) mark() mark {
	return mark{b.size, len(b.records), len(b.second), len(b.scratch), len(b.stretches)}
}

func (b *batch) undo(m mark) {
	b.size, b.records, b.second = m.size, b.records[:m.records], b.second[:m.second]
	b.scratch, b.stretches = b.scratch[:m.scratch], b.stretches[:m.stretches]
}

// accept marks what was added since m, so that later requests of this batch do
// not depend on it.
func (b *batch) accept(m mark) {
	for i := range b.records[m.records:] {
		b.touched[touch(&b.records[m.records+i].h)] = struct{}{}
	}
}

// touch names what a record is about.
func touch(h *header) string {
	bucket, key := h.recordKey()
	return bucket + string(key)
}

// held returns the entry of what h is about, or errLater when an earlier
// request of this batch changes it.
func (b *batch) held(h *header) (*entry, error) {
	if _, changed := b.touched[touch(h)]; changed {
		return nil, errLater
	}
	bucket, key := h.recordKey()
	return b.disk.index.find(bucket, key)
}

// add appends a record to the batch.
func (b *batch) add(h header, parts ...[]byte) {
	at := place{b.disk.active.id, b.begin + b.size}
	lo := len(b.scratch)
	b.scratch = h.appendTo(b.scratch, &b.disk.key, at)
	n := int64(headerSize)
	for _, p := range parts {
		n += int64(len(p))
		if len(p) <= smallPart {
			b.scratch = append(b.scratch, p...)
			continue
		}
		b.stretches = append(b.stretches, stretch{lo: lo, hi: len(b.scratch)}, stretch{data: p})
		lo = len(b.scratch)
	}
	size := h.size()
	b.scratch = append(b.scratch, make([]byte, size-n)...)
	b.stretches = append(b.stretches, stretch{lo: lo, hi: len(b.scratch)})
	b.size += size
	b.records = append(b.records, placed{h, at})
}

// replace appends a record that takes the place of old.
func (b *batch) replace(h header, old *entry, parts ...[]byte) {
	b.add(h, parts...)
	lost := h
	lost.group = old.group
	b.second = append(b.second, placed{lost, old.place})
}

// secondStep turns the batch into its second step: the kills of what was
// replaced, to lie after what was written.
func (b *batch) secondStep() {
	b.begin += b.size
	b.size = 0
	b.scratch = b.scratch[:0]
	clear(b.stretches)
	clear(b.bufs)
	b.stretches, b.bufs = b.stretches[:0], b.bufs[:0]
	for _, p := range b.second {
		b.add(p.h.kill(p.at, b.now))
	}
	b.second = b.second[:0]
}

// full reports whether the batch should be written now.
func (b *batch) full() bool { return b.size >= maxBatch || len(b.records) >= maxBatchRecords }

// vec returns the batch's bytes; neighbouring stretches of scratch are joined.
func (b *batch) vec() [][]byte {
	lo, hi := 0, 0
	flush := func() {
		if hi > lo {
			b.bufs = append(b.bufs, b.scratch[lo:hi])
		}
	}
	for _, p := range b.stretches {
		switch {
		case p.data != nil:
			flush()
			lo = hi
			b.bufs = append(b.bufs, p.data)
		case p.lo == hi:
			hi = p.hi
		default:
			flush()
			lo, hi = p.lo, p.hi
		}
	}
	flush()
	return b.bufs
}
