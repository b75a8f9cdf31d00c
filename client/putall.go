package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// A batch of a PutAll ends at this many files or bytes, whichever comes first: it is
// remembered until its manifests are stored, and lost when the session ends before
// that.
const (
	batchFiles = 4096
	batchBytes = 512 << 20
)

// Stored is one source of a PutAll.
type Stored struct {
	Index    int             // among the sources, from 0
	Name     string          // as its source had it
	Size     int64           // bytes that were stored
	Manifest protocol.Extent // what OpenManifest opens
	Err      error           // why its source could not be read: nothing of it is stored
}

// PutAllResult is what became of a PutAll.
type PutAllResult struct {
	Files    int   // stored
	Failed   int   // sources that could not be read
	Size     int64 // bytes of the files stored
	Segments int   // content and manifests
	Stored   int   // shards of the lowest segment
	Profile  protocol.Profile
	NotSafe  bool // the network is too small for the loss of any node
	Private  bool // every peer counted as a failure domain of its own
	Warnings []string
}

// PutAll stores many sources in one session and with few segments: content of
// known and moderate size is packed, and so are all manifests. It makes no link:
// the caller must keep a reference to each manifest, or the file cannot be found
// again. A reference lets its reader fetch the whole segment's sealed bytes but open
// only its own extent; what is to become public is better put on its own, by Put.
//
// Each source is read before the next one is asked for, so sources may open
// and close files as they go; an error from sources ends the put. stored is
// called, from the goroutine of the caller, once for each source and in their
// order, when the file is safe; an error from it ends the put, too. A source
// that cannot be read is reported in Stored.Err and fails no other.
//
// A PutAll that is cut off is not taken up again: sources for which stored was
// called are stored, and need not be put again.
func (c *Client) PutAll(ctx context.Context, sources iter.Seq2[Source, error], opt PutOptions, stored func(Stored) error) (*PutAllResult, error) {
	if c.cfg.Owner == nil {
		return nil, fmt.Errorf("put: %w", ErrNoOwner)
	}
	var res *PutAllResult
	err := c.withPutter(ctx, -1, opt, func(p *putter) (err error) {
		res, err = p.runAll(sources, stored)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("put files: %w", err)
	}
	return res, nil
}

// batch is the files of a PutAll that have no manifest yet.
type batch struct {
	p      *putter
	number int // of batches before this one
	pack   packer
	files  []*batchFile
	bytes  int64
	first  int // index of files[0] among all sources
	stored func(Stored) error
	res    PutAllResult
}

// batchFile is a source that was read. Its content lies in one packed extent, in
// segments of its own or, if it is empty, nowhere.
type batchFile struct {
	name     string
	mtime    time.Time
	size     int64
	packed   *packedExtent
	placed   []*placement
	manifest *packedExtent
	err      error
}

func (p *putter) runAll(sources iter.Seq2[Source, error], stored func(Stored) error) (*PutAllResult, error) {
	if err := p.choose(); err != nil {
		return nil, err
	}
	if err := p.begin(putState{Size: -1, Started: p.c.now().Unix()}); err != nil {
		return nil, err
	}
	b := &batch{p: p, pack: packer{p: p}, stored: stored}
	for src, err := range sources {
		if err == nil {
			err = b.add(src)
		}
		if err == nil && (len(b.files) >= batchFiles || b.bytes >= batchBytes) {
			err = b.commit()
		}
		if err != nil {
			return nil, err
		}
	}
	if err := b.commit(); err != nil {
		return nil, err
	}
	if err := p.c.cfg.Owner.endPack(p.id, p.c.now().Unix()); err != nil {
		return nil, err
	}
	p.phase = PhaseFill
	p.fill()
	return b.finish(), nil
}

// add reads a source. Its own failure is kept for stored; any other is
// returned.
func (b *batch) add(src Source) error {
	f := &batchFile{name: src.Name, mtime: src.MTime, size: src.Size}
	b.files = append(b.files, f)
	whole := &exactReader{r: src.Reader, size: src.Size}
	err := b.read(f, whole, src.unchanged)
	if err == nil {
		err = src.unchanged()
	}
	var unread *sourceError
	if errors.As(err, &unread) {
		b.drop(f)
		f.err, err = unread, nil
	}
	b.bytes += whole.n
	return err
}

func (b *batch) read(f *batchFile, whole *exactReader, unchanged func() error) (err error) {
	switch {
	case f.size == 0:
	case b.pack.packs(f.size):
		if f.packed, err = b.pack.add(whole, f.size); err != nil {
			return err
		}
	default:
		if err := b.pack.flush(); err != nil {
			return err
		}
		from := len(b.p.placed)
		err := b.p.send(whole, unchanged, false)
		f.placed, f.size = b.p.placed[from:len(b.p.placed):len(b.p.placed)], whole.n
		return err
	}
	_, err = io.Copy(io.Discard, whole) // has it grown meanwhile?
	return err
}

// drop takes back what was sent of a file, or is being sent. What was packed of it
// nobody can open, because no manifest has its key.
func (b *batch) drop(f *batchFile) {
	for _, pl := range f.placed {
		pl.dropped = true
		for _, s := range b.p.flights {
			if b.p.placed[s.index] == pl {
				s.cancel(nil)
				b.p.awaitIdle(s) // what is deleted must not come after its delete
			}
		}
		b.p.retract(pl.group, pl.extent.Segment)
	}
	f.packed, f.placed, f.size = nil, nil, 0
}

// commit makes all files of the batch safe, then their manifests, and reports them.
func (b *batch) commit() error {
	if err := b.pack.flush(); err != nil {
		return err
	}
	if len(b.files) == 0 {
		return nil
	}
	if err := b.p.proveContent(nil); err != nil {
		return err
	}
	b.p.phase = PhasePublish
	if err := b.p.proveRecords(b.sendManifests); err != nil {
		return err
	}
	b.p.phase = PhaseSend
	return b.report()
}

// report calls stored for all files of the batch, once the journal knows what
// holders keep for them.
func (b *batch) report() error {
	held := b.p.held(b.p.told)
	b.res.Segments += len(held)
	if err := b.p.c.cfg.Owner.notePack(b.p.id, b.number, &packState{When: b.p.c.now().Unix(), Held: held}); err != nil {
		return err
	}
	b.p.told = len(b.p.placed)
	for i, f := range b.files {
		if err := b.tell(b.first+i, f); err != nil {
			return err
		}
	}
	b.first, b.number = b.first+len(b.files), b.number+1
	b.files, b.bytes = nil, 0
	return nil
}

// sendManifests packs and ships the manifests of all files and waits until
// they are safe.
func (b *batch) sendManifests() error {
	pack := packer{p: b.p, records: true}
	for _, f := range b.files {
		if f.err != nil {
			continue
		}
		m, err := b.p.manifest(f.name, f.size, f.mtime, f.content())
		if err != nil {
			return err
		}
		if f.manifest, err = pack.add(bytes.NewReader(m), int64(len(m))); err != nil {
			return err
		}
	}
	if err := pack.flush(); err != nil {
		return err
	}
	return b.p.awaitSafe()
}

func (f *batchFile) content() (out []protocol.Extent) {
	if f.packed != nil {
		return []protocol.Extent{f.packed.extent()}
	}
	for _, pl := range f.placed {
		out = append(out, pl.extent)
	}
	return out
}

func (b *batch) tell(index int, f *batchFile) error {
	s := Stored{Index: index, Name: f.name, Size: f.size, Err: f.err}
	if f.err != nil {
		b.res.Failed++
	} else {
		s.Manifest = f.manifest.extent()
		b.res.Files++
		b.res.Size += f.size
	}
	return b.stored(s)
}

func (b *batch) finish() *PutAllResult {
	r, p := &b.res, b.p
	r.Stored, r.Profile = p.lowest(), p.group.profile
	r.NotSafe, r.Private, r.Warnings = group.NotSafe(r.Profile), p.draw.private, p.draw.warnings
	return r
}
