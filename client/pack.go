package client

import (
	"fmt"
	"io"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
)

// ownSegment sets what is packed: an extent larger than 1/ownSegment of a full
// segment gets segments of its own.
const ownSegment = 4

// packer fills segments with the extents of many sources, each under a key of its
// own, so that a reference to one opens none of its neighbours.
type packer struct {
	p       *putter
	records bool           // manifests, not content
	buf     *segmentBuffer // nil: none is being filled
	used    int64          // sealed bytes in it
	plain   int64
	waiting []*packedExtent // in it
}

// packedExtent is one extent of a packed segment. The segment can still move to
// another group until it is proved.
type packedExtent struct {
	sealedExtent
	place *placement // nil: its segment is still being filled
}

func (x *packedExtent) extent() protocol.Extent {
	e := x.place.extent
	e.Key, e.Offset, e.Length = x.key, x.off, x.length
	return e
}

// packs reports whether a source of size bytes is packed with others.
func (k *packer) packs(size int64) bool {
	return size >= 0 && seal.SealedSize(size) <= segmentSize(k.p.builder.profile.K)/ownSegment
}

// add seals a source of size bytes, at least one, into the segment that is being
// filled. A source that gives fewer bytes than size adds nothing to it.
func (k *packer) add(src io.Reader, size int64) (*packedExtent, error) {
	if k.used+seal.SealedSize(size) > segmentSize(k.p.builder.profile.K) {
		if err := k.flush(); err != nil {
			return nil, err
		}
	}
	if k.buf == nil {
		var err error
		if k.buf, err = k.p.takeBuffer(); err != nil {
			return nil, err
		}
	}
	x, err := k.p.builder.sealExtent(src, k.buf, k.used)
	if err != nil {
		return nil, err
	}
	if x.plain != size {
		return nil, fmt.Errorf("pack %d of %d bytes: %w", x.plain, size, io.ErrUnexpectedEOF)
	}
	k.used, k.plain = k.used+x.length, k.plain+x.plain
	out := &packedExtent{sealedExtent: x}
	k.waiting = append(k.waiting, out)
	return out, nil
}

// flush ships the segment, if anything is in it.
func (k *packer) flush() error {
	if k.buf == nil {
		return nil
	}
	s := &segment{buf: k.buf, plain: k.plain, sealed: k.used}
	k.buf, k.used, k.plain = nil, 0, 0
	waiting := k.waiting
	k.waiting = nil
	if len(waiting) == 0 {
		k.p.free = append(k.p.free, s.buf)
		return nil
	}
	if err := k.p.builder.finish(k.p.ctx, s); err != nil {
		return err
	}
	if !k.records {
		k.p.read += s.plain
	}
	if err := k.p.ship(s, k.records); err != nil {
		return err
	}
	place := k.p.placed[len(k.p.placed)-1]
	for _, x := range waiting {
		x.place = place
	}
	return nil
}
