package client

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/cairnstore/cairn/client/seal"
)

// PartialFile is a file that is written where it will stay. *os.File is one.
type PartialFile interface {
	io.ReaderAt
	io.WriterAt
}

// Partial is an unfinished file that outlives the session that writes it. Nothing
// in Data or Tags is believed: they are checked against each other under the keys
// of the file's extents, which neither of them contains.
type Partial struct {
	Data PartialFile // plain bytes, each in its place; beyond the file's end anything
	Tags PartialFile // 16 bytes for each part: the end of its sealed form
}

// Resume completes a partial file. Parts that are there and proved are not
// fetched again, whatever was written last and in whatever order it reached the
// disk; if the link leads to another version by now, no part is proved. progress,
// if not nil, is told the bytes that are proved or written. It returns how many
// bytes were already there.
//
// When it returns without error all bytes of Data up to Size are proved.
func (f *File) Resume(ctx context.Context, p Partial, progress func(done, total int64)) (had int64, err error) {
	missing, err := f.missing(ctx, p, progress)
	if err != nil {
		return 0, err
	}
	had = f.Size
	for _, r := range missing {
		had -= r.n
	}
	done := had
	for _, r := range missing {
		before := done
		told := func(n, _ int64) {
			if progress != nil {
				progress(before+n, f.Size)
			}
		}
		w := &partialWriter{p: p, off: r.off}
		n, err := f.writeRange(ctx, w, r.off, r.n, told, w.tag)
		if done += n; err != nil {
			return had, err
		}
	}
	return had, nil
}

// byteRange is a run of a file's bytes.
type byteRange struct{ off, n int64 }

// missing returns the ranges of the file that are not there, in order and in whole
// parts.
func (f *File) missing(ctx context.Context, p Partial, progress func(done, total int64)) (list []byteRange, err error) {
	buf := make([]byte, min(seal.PartSize, f.Size))
	had := int64(0)
	for i := range f.extents {
		e := &f.extents[i]
		c, err := seal.NewChecker(seal.Key(e.Key), e.plain)
		if err != nil {
			return nil, fmt.Errorf("extent %d: %w: %w", i, ErrDamaged, err)
		}
		for part := range seal.Parts(e.plain) {
			if ctx.Err() != nil {
				return nil, context.Cause(ctx)
			}
			r := byteRange{e.at + part*seal.PartSize, min(seal.PartSize, e.plain-part*seal.PartSize)}
			ok, err := p.has(c, part, r, f.tagAt(i, part), buf[:r.n])
			if err != nil {
				return nil, fmt.Errorf("read %q as far as it is there: %w", f.Name, err)
			}
			if ok {
				had += r.n
				if progress != nil {
					progress(had, f.Size)
				}
				continue
			}
			if last := len(list) - 1; last >= 0 && list[last].off+list[last].n == r.off {
				list[last].n += r.n
			} else {
				list = append(list, r)
			}
		}
	}
	return list, nil
}

// has reports whether a part is there and proved.
func (p Partial) has(c *seal.Checker, part int64, r byteRange, tagAt int64, buf []byte) (bool, error) {
	var tag [seal.Overhead]byte
	for _, read := range []struct {
		from PartialFile
		b    []byte
		at   int64
	}{{p.Tags, tag[:], tagAt}, {p.Data, buf, r.off}} {
		if _, err := read.from.ReadAt(read.b, read.at); errors.Is(err, io.EOF) {
			return false, nil
		} else if err != nil {
			return false, err
		}
	}
	return c.Check(buf, part, tag), nil
}

// tagAt returns where the tag of a part stands: parts are counted through the
// whole file.
func (f *File) tagAt(extent int, part int64) int64 {
	return (f.extents[extent].firstPart + part) * seal.Overhead
}

// partialWriter writes each part before its tag.
type partialWriter struct {
	p   Partial
	off int64
}

func (w *partialWriter) Write(b []byte) (int, error) {
	n, err := w.p.Data.WriteAt(b, w.off)
	w.off += int64(n)
	return n, err
}

func (w *partialWriter) tag(at int64, tag [seal.Overhead]byte) error {
	_, err := w.p.Tags.WriteAt(tag[:], at)
	return err
}
