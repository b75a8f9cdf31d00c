package storage

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// window is how much of a log a scan reads at a time, in bytes.
const window = 64 << 10

// scanner walks over the records of a log, and past damage: where no record
// begins it looks for the next one.
type scanner struct {
	f    io.ReaderAt
	key  *storeKey
	log  uint64
	off  int64 // where the next record should begin
	end  int64 // of the file
	bad  int64 // bytes in which no record was found, so far
	buf  []byte
	base int64 // offset of buf[0] in the log
}

func newScanner(f io.ReaderAt, key *storeKey, log uint64, from, to int64) *scanner {
	return &scanner{f: f, key: key, log: log, off: from, end: to, buf: make([]byte, 0, window)}
}

// next returns the next record's header and where it lies; io.EOF after the last.
// A record that would run past the end of the log is none.
func (s *scanner) next() (header, place, error) {
	for s.off+headerSize <= s.end {
		b, err := s.at(s.off, headerSize)
		if err != nil {
			return header{}, place{}, err
		}
		at := place{s.log, s.off}
		h, err := parseHeader(b, s.key, at)
		switch {
		case err == nil && s.off+h.size() <= s.end:
			s.off += h.size()
			return h, at, nil
		case errors.Is(err, errNewRecord):
			return header{}, place{}, fmt.Errorf("log %d at %d: %w", s.log, s.off, err)
		}
		if err := s.resync(); err != nil {
			return header{}, place{}, err
		}
	}
	s.bad += max(0, s.end-s.off)
	s.off = s.end
	return header{}, place{}, io.EOF
}

// resync moves to the next place after off where a record may begin.
func (s *scanner) resync() error {
	from := s.off
	for s.off += recordAlign; s.off+headerSize <= s.end; {
		b, err := s.at(s.off, int(min(window, s.end-s.off)))
		if err != nil {
			return err
		}
		i := bytes.Index(b, []byte(recordMagic))
		if i >= 0 && (s.off+int64(i))%recordAlign == 0 {
			s.off += int64(i)
			s.bad += s.off - from
			return nil
		}
		if i < 0 {
			i = len(b) - len(recordMagic) // a magic may begin in the last bytes
		}
		s.off = (s.off + int64(i) + recordAlign) &^ (recordAlign - 1)
	}
	s.off = min(s.off, s.end)
	s.bad += s.off - from
	return nil
}

// at returns n bytes at an offset, from the window if they are there.
func (s *scanner) at(off int64, n int) ([]byte, error) {
	if off < s.base || off+int64(n) > s.base+int64(len(s.buf)) {
		s.buf = s.buf[:min(window, s.end-off)]
		s.base = off
		m, err := s.f.ReadAt(s.buf, off)
		if m < n {
			return nil, fmt.Errorf("read log %d at %d: %w", s.log, off, err)
		}
		s.buf = s.buf[:m]
	}
	lo := off - s.base
	return s.buf[lo : lo+int64(n)], nil
}

// intact reads a record's body and compares it with its checksums. buf is
// scratch of any length.
func intact(f io.ReaderAt, h *header, at place, buf []byte) error {
	off := at.off + headerSize
	for _, part := range []struct {
		size, sum uint32
	}{{h.desc, h.descSum}, {h.outboard, h.outSum}, {h.data, h.dataSum}} {
		sum, err := sumOf(io.NewSectionReader(f, off, int64(part.size)), buf)
		if err != nil {
			return err
		}
		if sum != part.sum {
			return ErrCorrupt
		}
		off += int64(part.size)
	}
	return nil
}

// sumOf returns the checksum of all that r gives.
func sumOf(r io.Reader, buf []byte) (uint32, error) {
	sum := crc32.New(castagnoli)
	_, err := io.CopyBuffer(sum, struct{ io.Reader }{r}, buf)
	return sum.Sum32(), err
}
