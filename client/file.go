package client

import (
	"cmp"
	"context"
	"fmt"
	"sort"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
)

// File is a file version behind a link, open for reading. It may be used by
// many goroutines at the same time. It need not be closed.
type File struct {
	Name    string           // as its owner wrote it: data, never a path
	Size    int64            // bytes
	MTime   time.Time        // as its owner wrote it
	Profile protocol.Profile // of the link's home group, or the manifest's where there is no link

	c        *Client
	records  []protocol.Extent // of the manifest and its pages
	extents  []fileExtent      // by place in the file
	mu       sync.Mutex
	openers  map[int]*seal.Opener // by index of extent
	sequence []int                // of openers, oldest first
}

// fileExtent is an extent with its place in the file.
type fileExtent struct {
	protocol.Extent
	at        int64 // plain bytes before it
	plain     int64 // plain bytes in it
	firstPart int64 // parts before it
}

// Open opens the file behind a link. It returns ErrNoPeers, ErrTooFew,
// ErrDamaged, ErrNotFound, ErrExpired or ErrRevoked in its chain. Members may still
// be asked in the background, until ctx is done, for a newer record than the one
// that it followed: this session will then accept no older one.
func (c *Client) Open(ctx context.Context, link protocol.Link) (*File, error) {
	r := c.resolve(ctx, link)
	p, err := r.first(ctx)
	for err == nil {
		var f *File
		if f, err = c.openRecord(ctx, r, p); err == nil {
			r.confirm(ctx)
			if newer := r.newer(ctx, p, 0); newer != nil {
				p = newer
				continue
			}
			if err = r.gone(); err == nil {
				return f, nil
			}
			break
		}
		// Where this record leads nowhere there may be a newer one.
		newer := r.contradicted(ctx, p)
		if newer == nil {
			err = cmp.Or(r.gone(), err)
			break
		}
		p, err = newer, nil
	}
	r.cancel()
	return nil, err
}

func (c *Client) openRecord(ctx context.Context, r *resolver, p *protocol.Pointer) (*File, error) {
	if err := r.verdict(p); err != nil {
		return nil, err
	}
	t, err := r.target(p)
	if err != nil {
		return nil, err
	}
	f, err := c.openManifest(ctx, &t.Extent, hintInfos(t.Hints))
	if err == nil {
		f.Profile = r.home().table.Profile
	}
	return f, err
}

// OpenManifest opens the file whose manifest lies at an extent, as PutAll
// reports it. Errors are those of Open that have to do with holders.
func (c *Client) OpenManifest(ctx context.Context, at protocol.Extent) (*File, error) {
	if err := at.Validate(); err != nil {
		return nil, err
	}
	return c.openManifest(ctx, &at, nil)
}

func (c *Client) openManifest(ctx context.Context, at *protocol.Extent, hints []peer.AddrInfo) (*File, error) {
	b, err := c.readExtent(ctx, at, hints)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	m, err := protocol.ParseManifest(b)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w: %w", ErrDamaged, err)
	}
	f := &File{
		Name: m.Name, Size: m.Size, MTime: time.Unix(m.MTime, m.MTimeNS), c: c,
		records: []protocol.Extent{*at}, openers: make(map[int]*seal.Opener),
	}
	if g := c.found.known(at.Group.Prefix()); g != nil {
		f.Profile = g.table.Profile
	}
	content, err := f.content(ctx, m)
	if err != nil {
		return nil, err
	}
	return f, f.lay(content)
}

// lay gives each extent its place. They must make exactly the file's size.
func (f *File) lay(content []protocol.Extent) error {
	f.extents = make([]fileExtent, len(content))
	at, parts := int64(0), int64(0)
	for i, e := range content {
		plain, err := seal.PlainSize(e.Length)
		if err != nil {
			return fmt.Errorf("read manifest: extent %d of %d sealed bytes: %w", i, e.Length, ErrDamaged)
		}
		f.extents[i] = fileExtent{Extent: e, at: at, plain: plain, firstPart: parts}
		at, parts = at+plain, parts+seal.Parts(plain)
	}
	if at != f.Size {
		return fmt.Errorf("read manifest: extents of %d bytes for a file of %d: %w", at, f.Size, ErrDamaged)
	}
	return nil
}

// extentAt returns the index of the extent that holds byte off of the file.
func (f *File) extentAt(off int64) int {
	return sort.Search(len(f.extents), func(i int) bool { return f.extents[i].at+f.extents[i].plain > off })
}

// readExtent returns the plain bytes of a whole extent that holds a record.
func (c *Client) readExtent(ctx context.Context, e *protocol.Extent, hints []peer.AddrInfo) ([]byte, error) {
	plain, err := seal.PlainSize(e.Length)
	if err != nil || plain > protocol.MaxManifest {
		return nil, fmt.Errorf("a record of %d sealed bytes: %w", e.Length, ErrDamaged)
	}
	src, err := c.source(ctx, e, hints)
	if err != nil {
		return nil, err
	}
	run, err := src.read(ctx, e, e.Offset, e.Offset+e.Length)
	if err != nil {
		return nil, err
	}
	defer run.release(src.l.buffers)
	sealed := run.view(e.Offset, e.Length, make([]byte, e.Length))
	b, err := seal.Open(seal.Key(e.Key), nil, sealed)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return b, nil
}
