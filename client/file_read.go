package client

import (
	"context"
	"fmt"
	"io"

	"github.com/cairnstore/cairn/client/seal"
)

// What a sequential read keeps in memory and has under way.
const (
	readAhead  = 24 << 20 // sealed bytes received, or asked for, and not yet written
	pullsAhead = 4        // steps under way, if they are small

	// The first step of a long read is short, so that its bytes come soon.
	firstParts = 4
	longRead   = 4 * firstParts // parts from which on a read is long

	keptOpeners = 64
)

// step is a run of parts [lo, hi) of one extent: what one fetch gets.
type step struct {
	extent int
	lo, hi int64
}

// pull is a step under way.
type pull struct {
	step
	held   int64 // sealed bytes of it in memory, or asked for
	done   chan struct{}
	run    *sealedRun
	opener *seal.Opener
	err    error
}

// ReadAt fills p from byte off of the file and fetches no more than the parts
// that hold these bytes. It returns io.EOF where the file ends before p is
// full. No byte that it returns is unverified.
func (f *File) ReadAt(ctx context.Context, p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read %q: negative offset", f.Name)
	}
	want := min(int64(len(p)), max(0, f.Size-off))
	w := &sliceWriter{p: p[:want]}
	_, err := f.WriteRangeTo(ctx, w, off, want, nil)
	if err == nil && want < int64(len(p)) {
		err = io.EOF
	}
	return w.n, err
}

type sliceWriter struct {
	p []byte
	n int
}

func (w *sliceWriter) Write(b []byte) (int, error) {
	n := copy(w.p[w.n:], b)
	w.n += n
	return n, nil
}

// WriteTo writes the whole file to w, in order, and fetches the next segment while
// it opens one. Every part is verified before it is written. progress, if not nil,
// is told the bytes written.
func (f *File) WriteTo(ctx context.Context, w io.Writer, progress func(done, total int64)) error {
	_, err := f.WriteRangeTo(ctx, w, 0, f.Size, progress)
	return err
}

// WriteRangeTo is WriteTo for n bytes from byte off on; beyond the file's end
// there are none. It returns how many it wrote.
func (f *File) WriteRangeTo(ctx context.Context, w io.Writer, off, n int64, progress func(done, total int64)) (int64, error) {
	return f.writeRange(ctx, w, off, n, progress, nil)
}

// writeRange is WriteRangeTo. tag, if not nil, is given each part's tag, and where
// it stands among those of the file, once the part is written.
func (f *File) writeRange(ctx context.Context, w io.Writer, off, n int64, progress func(done, total int64), tag tagFunc) (int64, error) {
	end := min(off+n, f.Size)
	if off < 0 || n < 0 || off >= end {
		return 0, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &reading{f: f, w: w, off: off, end: end, next: off, progress: progress, tag: tag}
	r.scratch = make([]byte, min(seal.PartSize, f.Size)+seal.Overhead)
	defer func() {
		cancel()
		r.abandon()
	}()
	for r.done < end-off {
		r.pullAhead(ctx)
		if err := r.write(ctx); err != nil {
			return r.done, fmt.Errorf("read %q at byte %d: %w", f.Name, off+r.done, err)
		}
	}
	return r.done, nil
}

// tagFunc takes the tag of a part, and where it stands among a file's.
type tagFunc func(at int64, tag [seal.Overhead]byte) error

// reading is one sequential read under way.
type reading struct {
	f        *File
	w        io.Writer
	off, end int64 // bytes of the file
	next     int64 // first byte that no step covers yet
	done     int64 // bytes written
	progress func(done, total int64)
	tag      tagFunc
	scratch  []byte
	pulls    []*pull // in order
}

// held returns the sealed bytes in memory or asked for.
func (r *reading) held() (n int64) {
	for _, p := range r.pulls {
		n += p.held
	}
	return n
}

// pullAhead starts fetching steps as far as memory allows, and always one.
func (r *reading) pullAhead(ctx context.Context) {
	for r.next < r.end && len(r.pulls) < pullsAhead {
		s, after := r.plan()
		size := r.f.sealedSize(s)
		if len(r.pulls) > 0 && r.held()+size > readAhead {
			return
		}
		p := &pull{step: s, held: size, done: make(chan struct{})}
		r.pulls, r.next = append(r.pulls, p), after
		go func() {
			defer close(p.done)
			p.run, p.opener, p.err = r.f.fetch(ctx, s)
		}()
	}
}

// plan returns the next step, and the first byte that it does not cover.
func (r *reading) plan() (step, int64) {
	i := r.f.extentAt(r.next)
	e := &r.f.extents[i]
	last := min(r.end, e.at+e.plain)
	s := step{extent: i, lo: (r.next - e.at) / seal.PartSize, hi: (last - e.at + seal.PartSize - 1) / seal.PartSize}
	if r.next == r.off && r.end-r.off > longRead*seal.PartSize && s.hi-s.lo > 2*firstParts {
		s.hi = s.lo + firstParts
		last = e.at + s.hi*seal.PartSize
	}
	return s, last
}

func (f *File) sealedSize(s step) int64 {
	plain := f.extents[s.extent].plain
	lo, _ := seal.PartRange(s.lo, plain)
	hi, n := seal.PartRange(s.hi-1, plain)
	return hi + n - lo
}

// write opens and writes the parts of the first pull, and gives memory back as
// it goes.
func (r *reading) write(ctx context.Context) error {
	p := r.pulls[0]
	<-p.done
	if p.err != nil {
		return p.err
	}
	e := &r.f.extents[p.extent]
	for part := p.lo; part < p.hi; part++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.writePart(p, e, part); err != nil {
			return err
		}
		off, n := seal.PartRange(part, e.plain)
		p.held = p.run.releaseBefore(e.Offset+off+n, r.f.c.locator().buffers)
		r.pullAhead(ctx)
	}
	p.run.release(r.f.c.locator().buffers)
	r.pulls = r.pulls[1:]
	return nil
}

func (r *reading) writePart(p *pull, e *fileExtent, part int64) error {
	off, n := seal.PartRange(part, e.plain)
	sealed := p.run.view(e.Offset+off, n, r.scratch)
	var tag [seal.Overhead]byte
	copy(tag[:], sealed[max(0, len(sealed)-len(tag)):])
	plain, err := p.opener.OpenPart(sealed[:0], sealed, part)
	if err != nil {
		return fmt.Errorf("part %d of extent %d: %w: %w", part, p.extent, ErrDamaged, err)
	}
	at := e.at + part*seal.PartSize
	plain = plain[max(0, r.off-at):min(int64(len(plain)), r.end-at)]
	if _, err := r.w.Write(plain); err != nil {
		return err
	}
	r.done += int64(len(plain))
	if r.tag != nil {
		if err := r.tag(r.f.tagAt(p.extent, part), tag); err != nil {
			return err
		}
	}
	if r.progress != nil {
		r.progress(r.done, r.end-r.off)
	}
	return nil
}

// abandon waits for the pulls under way and gives their buffers back. They have been
// called off, so this is quick.
func (r *reading) abandon() {
	for _, p := range r.pulls {
		<-p.done
		p.run.release(r.f.c.locator().buffers)
	}
}

// fetch gets a step's sealed bytes, and what opens them.
func (f *File) fetch(ctx context.Context, s step) (*sealedRun, *seal.Opener, error) {
	e := &f.extents[s.extent]
	src, err := f.c.source(ctx, &e.Extent, nil)
	if err != nil {
		return nil, nil, err
	}
	lo, _ := seal.PartRange(s.lo, e.plain)
	hi, n := seal.PartRange(s.hi-1, e.plain)
	if s.lo == 0 {
		lo = 0 // the commitment stands before the first part
	}
	opener := f.opener(s.extent)
	var head chan error
	if opener == nil && lo > 0 {
		head = make(chan error, 1)
		go func() {
			var err error
			opener, err = f.openHead(ctx, src, s.extent)
			head <- err
		}()
	}
	run, err := src.read(ctx, &e.Extent, e.Offset+lo, e.Offset+hi+n)
	if head != nil {
		if herr := <-head; err == nil {
			err = herr
		}
	}
	if err == nil && opener == nil {
		opener, err = f.newOpener(s.extent, run.view(e.Offset, seal.CommitmentSize, make([]byte, seal.CommitmentSize)))
	}
	if err != nil {
		run.release(src.l.buffers)
		return nil, nil, err
	}
	return run, opener, nil
}

// openHead reads an extent's commitment alone.
func (f *File) openHead(ctx context.Context, src *source, i int) (*seal.Opener, error) {
	e := &f.extents[i]
	run, err := src.read(ctx, &e.Extent, e.Offset, e.Offset+seal.CommitmentSize)
	if err != nil {
		return nil, err
	}
	defer run.release(src.l.buffers)
	return f.newOpener(i, run.view(e.Offset, seal.CommitmentSize, make([]byte, seal.CommitmentSize)))
}

// opener returns what opens an extent, if it is kept from before, or nil.
func (f *File) opener(i int) *seal.Opener {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.openers[i]
}

func (f *File) newOpener(i int, commitment []byte) (*seal.Opener, error) {
	e := &f.extents[i]
	o, err := seal.NewOpener(seal.Key(e.Key), commitment, e.plain)
	if err != nil {
		return nil, fmt.Errorf("extent %d: %w: %w", i, ErrDamaged, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.openers[i] == nil {
		if len(f.sequence) == keptOpeners {
			delete(f.openers, f.sequence[0])
			f.sequence = f.sequence[1:]
		}
		f.openers[i] = o
		f.sequence = append(f.sequence, i)
	}
	return o, nil
}
