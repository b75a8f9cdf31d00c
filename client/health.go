package client

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of a health check.
const (
	checkAll      = 64 // segments up to which each is challenged
	checkSample   = 32 // segments of a larger file that are drawn
	checkSegments = 8  // at a time
)

// Health is what holders proved of a file just now, each by a random leaf.
type Health struct {
	Name      string           // of the file; empty where its manifest cannot be read
	Size      int64            // bytes; -1: unknown
	Profile   protocol.Profile // of the lowest segment's group
	Segments  int              // of the file, manifest included
	Checked   int              // of these: all, or a random sample
	Reachable int              // slots of the lowest segment whose holders proved their shards
	Needed    int              // how many slots it takes to read it
	Domains   int              // failure domains that these holders span
	// AfterWorst5 is how many slots of the lowest segment are left when the
	// five domains that hold most of them leave.
	AfterWorst5 int
	Holders     []HolderHealth
	Pointer     Confirmation // of the link
	// Problem is why the file cannot be read as it stands; nil: it can.
	Problem error
}

// HolderHealth is what one holder showed.
type HolderHealth struct {
	Group  protocol.GroupID
	Slot   int
	Peer   peer.ID // the one that was asked last; "": the slot is vacant
	Proved bool    // every challenge was met
	Asked  int     // challenges
	Met    int     // of them
	Domain string  // failure domain, as its connection shows it; empty: never reached
	Err    error   // of the first challenge that was not met

	// Reported is how many members name Peer as the slot's holder. That is only
	// their word: it proves nothing and counts for nothing.
	Reported int
}

// Lost reports whether some segment cannot be read now.
func (h *Health) Lost() bool { return h.Problem != nil || h.Reachable < h.Needed }

// Health challenges the holders of the file behind a link. That a file cannot be
// read is no error: the Health that is returned says so. Errors are those of Open
// that leave nothing to judge.
func (c *Client) Health(ctx context.Context, link protocol.Link) (*Health, error) {
	r := c.resolve(ctx, link)
	defer r.cancel()
	p, err := r.first(ctx)
	if err != nil {
		return nil, err
	}
	if newer := r.contradicted(ctx, p); newer != nil {
		p = newer
	}
	if err := r.verdict(p); err != nil {
		return nil, err
	}
	t, err := r.target(p)
	if err != nil {
		return nil, err
	}
	h := &Health{Size: -1, Pointer: r.confirmation(), Profile: r.home().table.Profile}
	all := []protocol.Extent{t.Extent}
	f, err := c.openRecord(ctx, r, p)
	if err == nil {
		h.Name, h.Size = f.Name, f.Size
		all = f.Segments()
	} else if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	h.Problem = err
	return h, c.checkSegments(ctx, h, all)
}

// Segments returns one extent of each segment that the file needs, manifest and
// pages first.
func (f *File) Segments() []protocol.Extent {
	seen := make(map[protocol.SegmentID]bool)
	var out []protocol.Extent
	add := func(e protocol.Extent) {
		if !seen[e.Segment] {
			seen[e.Segment] = true
			out = append(out, e)
		}
	}
	for _, e := range f.records {
		add(e)
	}
	for i := range f.extents {
		add(f.extents[i].Extent)
	}
	return out
}

// segmentHealth is what the holders of one segment showed.
type segmentHealth struct {
	group *foundGroup
	slots []shown // by slot
	err   error   // why nobody could be asked
}

// shown is what a slot's holder showed. Where several peers were asked it is the
// first that met its challenge, else the last.
type shown struct {
	peer peer.ID
	err  error // nil: proved
}

func (c *Client) checkSegments(ctx context.Context, h *Health, all []protocol.Extent) error {
	pick, err := c.sample(all)
	if err != nil {
		return err
	}
	h.Segments, h.Checked = len(all), len(pick)
	results := make([]segmentHealth, len(pick))
	turns := make(chan struct{}, checkSegments)
	k := newCheck()
	var wg sync.WaitGroup
	for i := range pick {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			results[i] = c.challengeSegment(ctx, &pick[i], k)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	c.judge(h, results)
	return nil
}

// sample returns all extents, or the first, which is the manifest's, and some
// drawn at random.
func (c *Client) sample(all []protocol.Extent) ([]protocol.Extent, error) {
	if len(all) <= checkAll {
		return all, nil
	}
	rest := append([]protocol.Extent(nil), all[1:]...)
	for i := range checkSample - 1 {
		n, err := c.draw(uint64(len(rest) - i))
		if err != nil {
			return nil, err
		}
		j := i + int(n)
		rest[i], rest[j] = rest[j], rest[i]
	}
	return append([]protocol.Extent{all[0]}, rest[:checkSample-1]...), nil
}

// draw returns a random number below n.
func (c *Client) draw(n uint64) (uint64, error) {
	var b [8]byte
	if _, err := io.ReadFull(c.rand, b[:]); err != nil {
		return 0, fmt.Errorf("draw a challenge: %w", err)
	}
	return binary.BigEndian.Uint64(b[:]) % n, nil // the bias is below 2^-40
}
