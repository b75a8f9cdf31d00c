package client

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of reading segments.
const (
	// keptSources bounds how many segments' descriptors a session remembers.
	keptSources = 1024

	// smallShard is the length in bytes up to which a shard is fetched whole,
	// whatever part of it is wanted.
	smallShard = 4 * protocol.LeafSize

	// wholeFrom is the share of a shard, in eighths, from which on the whole shard
	// is fetched: that needs no slice, and helps to decode others.
	wholeFrom = 6
)

// source is a segment as this session reads it.
type source struct {
	l     *locator
	group *foundGroup
	ext   protocol.Extent // any one in the segment
	proof []byte

	mu    sync.Mutex
	desc  *protocol.Descriptor // nil until a holder has shown it
	reads int                  // of packed extents
}

// errShape says that a segment is not cut into shards as was guessed.
var errShape = errors.New("the segment is cut otherwise")

// open returns the source of an extent's segment.
func (l *locator) open(g *foundGroup, e *protocol.Extent) *source {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.sources[e.Segment]; s != nil && s.group == g && s.ext.Secret == e.Secret {
		return s
	}
	if len(l.sources) >= keptSources {
		for id := range l.sources {
			delete(l.sources, id)
			break
		}
	}
	s := &source{l: l, group: g, ext: *e, proof: l.proof(e)}
	l.sources[e.Segment] = s
	return s
}

func (s *source) descriptor() *protocol.Descriptor {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.desc
}

// learn checks a descriptor that a holder shows, and keeps it.
func (s *source) learn(b []byte) (*protocol.Descriptor, error) {
	d, err := protocol.OpenDescriptor(b, s.ext.Segment)
	if err != nil {
		return nil, err
	}
	p := s.group.table.Profile
	if d.K != p.K || d.N != p.N {
		return nil, fmt.Errorf("descriptor of %s: %d of %d in a group of profile %s: %w", s.ext.Segment, d.K, d.N, p, ErrDamaged)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.desc = d
	return d, nil
}

// shape is how a segment is cut into shards.
type shape struct {
	k, n  int
	shard int64 // bytes of each
}

// guess returns the segment's shape and whether it is sure. Before the descriptor
// is seen, it assumes that e alone fills the segment. A wrong guess costs no more
// than a round trip.
func (s *source) guess(e *protocol.Extent) (sh shape, sure bool) {
	if d := s.descriptor(); d != nil {
		return shape{d.K, d.N, d.ShardSize}, true
	}
	p := s.group.table.Profile
	size := min(padme(e.Offset+e.Length), protocol.SegmentSize(p.K))
	return shape{p.K, p.N, protocol.ShardSize(size, p.K)}, false
}

// read returns the sealed bytes [lo, hi) of the segment of e, proved against
// its descriptor. It returns ErrTooFew where fewer than k holders answer, and
// ErrDamaged where k answer and too much of what they say is false.
func (s *source) read(ctx context.Context, e *protocol.Extent, lo, hi int64) (*sealedRun, error) {
	if s.descriptor() == nil && e.Offset > 0 {
		// Other extents lie before it, so nothing tells how long the segment is.
		if _, err := s.describe(ctx, e); err != nil {
			s.l.c.log.Debug("descriptor not read", "segment", e.Segment, "err", err)
		}
	}
	if d := s.descriptor(); d != nil && hi <= d.Size && s.isPacked(e) {
		return s.readKept(ctx, e, lo, hi)
	}
	return s.readAgain(ctx, e, lo, hi)
}

// readAgain reads from the holders, and once more where too few answered.
func (s *source) readAgain(ctx context.Context, e *protocol.Extent, lo, hi int64) (*sealedRun, error) {
	run, err := s.tryRead(ctx, e, lo, hi)
	if (errors.Is(err, ErrTooFew) || errors.Is(err, ErrDamaged)) && ctx.Err() == nil {
		// Some may have moved, or were out of reach for a moment.
		s.l.refresh(ctx, s.group, e, s.group.table.Profile.K)
		run, err = s.tryRead(ctx, e, lo, hi)
	}
	if err == nil && hi > s.descriptor().Size {
		run.release(s.l.buffers)
		return nil, fmt.Errorf("read segment %s: it ends before byte %d: %w", s.ext.Segment, hi, ErrDamaged)
	}
	return run, err
}

// readSealed fills dst with the sealed bytes [lo, hi) of an extent's segment.
func (c *Client) readSealed(ctx context.Context, e *protocol.Extent, lo, hi int64, dst []byte) error {
	src, err := c.source(ctx, e, nil)
	if err != nil {
		return err
	}
	run, err := src.read(ctx, e, lo, hi)
	if err != nil {
		return err
	}
	defer run.release(src.l.buffers)
	copy(dst, run.view(lo, hi-lo, dst))
	return nil
}

// source finds an extent's group and returns its segment as a source. Where the
// group seems to be held by others than its table names, it asks by whom.
func (c *Client) source(ctx context.Context, e *protocol.Extent, hints []peer.AddrInfo) (*source, error) {
	g, err := c.locator().locate(ctx, e, hints)
	if err != nil {
		return nil, err
	}
	if g.moved() {
		c.locator().refresh(ctx, g, e, 1)
	}
	return c.locator().open(g, e), nil
}

// tryRead reads by the shape that the segment seems to have, and by its true
// one where that differs.
func (s *source) tryRead(ctx context.Context, e *protocol.Extent, lo, hi int64) (*sealedRun, error) {
	sh, sure := s.guess(e)
	run, err := s.readShape(ctx, sh, lo, hi)
	if sure || !errors.Is(err, errShape) || ctx.Err() != nil {
		return run, err
	}
	// What was asked for may not exist in a segment of another shape; its first
	// leaf always does, and the descriptor comes with it.
	if _, err := s.describe(ctx, e); err != nil {
		return nil, err
	}
	sh, _ = s.guess(e)
	return s.readShape(ctx, sh, lo, hi)
}

// readShape reads from a segment of a shape. It returns errShape when the
// descriptor shows another one.
func (s *source) readShape(ctx context.Context, sh shape, lo, hi int64) (*sealedRun, error) {
	if sh.shard > 0 && hi > int64(sh.k)*sh.shard {
		if s.descriptor() == nil {
			return nil, errShape
		}
		return nil, fmt.Errorf("read segment %s: it ends before byte %d: %w", s.ext.Segment, hi, ErrDamaged)
	}
	columns := sh.columns(lo, hi)
	parts := make([]map[int][]byte, len(columns))
	errs := make([]error, len(columns))
	var wg sync.WaitGroup
	for i, col := range columns {
		wg.Add(1)
		go func() {
			defer wg.Done()
			parts[i], errs[i] = s.newRace(sh, col).run(ctx)
		}()
	}
	wg.Wait()
	run := new(sealedRun)
	for i, col := range columns {
		for _, slot := range col.slots {
			if buf, ok := parts[i][slot]; ok {
				run.pieces = append(run.pieces, piece{int64(slot)*sh.shard + col.off, buf})
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		run.release(s.l.buffers)
		return nil, fmt.Errorf("read segment %s: %w", s.ext.Segment, err)
	}
	return run, nil
}

// describe returns the segment's descriptor, from the holder that shows it first.
func (s *source) describe(ctx context.Context, e *protocol.Extent) (*protocol.Descriptor, error) {
	if d := s.descriptor(); d != nil {
		return d, nil
	}
	sh, _ := s.guess(e)
	_, err := s.readShape(ctx, shape{sh.k, sh.n, 0}, 0, 1)
	if d := s.descriptor(); d != nil {
		return d, nil
	}
	return nil, err
}

// columnRange is one range of bytes in each shard; it is wanted of some data slots.
type columnRange struct {
	slots       []int // ascending
	off, length int64 // within each shard; whole leaves
}

// columns returns what to fetch for the bytes [lo, hi) of a segment: the
// shards that are wanted whole, and ranges of those at the edges. With an unknown
// shard size that is the first leaf alone.
func (sh shape) columns(lo, hi int64) []columnRange {
	if sh.shard == 0 {
		return []columnRange{{slots: []int{0}, off: 0, length: 1}}
	}
	var out []columnRange
	whole := columnRange{length: sh.shard}
	for slot := int(lo / sh.shard); int64(slot)*sh.shard < hi; slot++ {
		base := int64(slot) * sh.shard
		from, to := max(lo-base, 0), min(hi-base, sh.shard)
		off, length := protocol.AlignRange(from, to-from, sh.shard)
		if sh.shard <= smallShard || length*8 >= sh.shard*wholeFrom {
			whole.slots = append(whole.slots, slot)
			continue
		}
		out = append(out, columnRange{slots: []int{slot}, off: off, length: length})
	}
	if len(whole.slots) > 0 {
		out = append(out, whole)
	}
	return out
}
