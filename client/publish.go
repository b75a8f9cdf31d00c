package client

import (
	"bytes"
	"fmt"
	"io"
	"time"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// extentsPerPage is how many extents surely fit in one manifest or page.
const extentsPerPage = 1024

// sendManifest seals and ships the manifest and, before it, as many levels of pages
// as the extents need.
func (p *putter) sendManifest(src Source) error {
	var content []protocol.Extent
	for _, pl := range p.placed {
		if !pl.manifest {
			content = append(content, pl.extent)
		}
	}
	b, err := p.manifest(src.Name, p.read, src.MTime, content)
	if err != nil {
		return err
	}
	_, err = p.sendRecord(b)
	return err
}

// manifest returns a manifest's bytes, after shipping the pages below it.
func (p *putter) manifest(name string, size int64, mtime time.Time, content []protocol.Extent) (b []byte, err error) {
	m := &protocol.Manifest{Name: name, Size: size, MTime: mtime.Unix(), MTimeNS: int64(mtime.Nanosecond()), Extents: content}
	if mtime.IsZero() {
		m.MTime, m.MTimeNS = p.c.now().Unix(), 0
	}
	for ; len(m.Extents) > extentsPerPage; m.Depth++ {
		if m.Extents, err = p.sendPages(m.Depth, m.Extents); err != nil {
			return nil, err
		}
	}
	return m.Encode()
}

// sendPages ships one level of pages and returns where they lie.
func (p *putter) sendPages(depth int, extents []protocol.Extent) ([]protocol.Extent, error) {
	var above []protocol.Extent
	for len(extents) > 0 {
		n := min(len(extents), extentsPerPage)
		b, err := (&protocol.Page{Depth: depth, Extents: extents[:n]}).Encode()
		if err != nil {
			return nil, err
		}
		pl, err := p.sendRecord(b)
		if err != nil {
			return nil, err
		}
		above = append(above, pl.extent)
		extents = extents[n:]
	}
	return above, nil
}

// sendRecord stores a manifest or page in a segment of its own and waits until
// it is safe: only then is its place final.
func (p *putter) sendRecord(b []byte) (*placement, error) {
	read := p.read
	if err := p.send(bytes.NewReader(b), nil, true); err != nil {
		return nil, err
	}
	p.read = read // a record is no part of the source
	pl := p.placed[len(p.placed)-1]
	return pl, p.awaitSafe()
}

// publish writes the pointer into the home group: the one that holds the
// manifest.
func (p *putter) publish(src Source) (*uploadState, error) {
	last := p.placed[len(p.placed)-1]
	up := &uploadState{
		Home: last.group.id.Prefix(), Name: src.Name, Size: p.read, When: p.c.now().Unix(),
		Profile: last.group.profile, Seq: 1,
	}
	if p.opt.Hints {
		up.Hints = last.group.hints(protocol.MaxLinkHints)
	}
	up.Held = p.held(0)
	up.Segments = len(up.Held)
	for _, s := range []*protocol.Secret{&up.Read, &up.Pointer} {
		if _, err := io.ReadFull(p.c.rand, s[:]); err != nil {
			return nil, fmt.Errorf("draw a link's secrets: %w", err)
		}
	}
	return up, p.writePointer(last, up)
}

// held names the segments that the put has stored, from an index on.
func (p *putter) held(from int) (list []heldSegment) {
	for _, pl := range p.placed[from:] {
		if !pl.dropped {
			list = append(list, heldSegment{Group: pl.group.id, Segment: pl.extent.Segment})
		}
	}
	return list
}

func (p *putter) writePointer(home *placement, up *uploadState) error {
	g := home.group
	target := protocol.Target{Extent: home.extent, Hints: g.hints(protocol.MaxTargetHints)}
	plain, err := target.Encode()
	if err != nil {
		return err
	}
	salt, payload, err := seal.SealPayload(p.c.rand, seal.Key(up.Read), (*[seal.PayloadPlain]byte)(plain))
	if err != nil {
		return err
	}
	key := seal.PointerKey(seal.Key(up.Pointer))
	id := pointerOf(up)
	facts := []protocol.Fact{
		{Kind: protocol.FactGrant, Bytes: protocol.SignGrant(g.ownerKey, g.networkName, g.id, id[:], int64(g.profile.N)*protocol.PointerFootprint)},
		{Kind: protocol.FactPointer, Bytes: protocol.SignPointer(key, g.networkName, up.Seq, salt, payload, time.Time{})},
	}
	if err := g.countPointer(); err != nil {
		return err
	}
	took, refusal := 0, error(nil)
	for range pointerTries {
		if took, refusal = p.c.tellAll(p.ctx, g, facts); took >= group.WriteQuorum(g.profile) {
			return nil
		}
	}
	err = fmt.Errorf("publish the link: %d members took it, %d needed: %w", took, group.WriteQuorum(g.profile), ErrTooFew)
	return withRefusal(err, refusal)
}

const pointerTries = 3

func pointerOf(up *uploadState) protocol.PointerID {
	return protocol.PointerIDOf(protocol.PublicKeyOf(seal.PointerKey(seal.Key(up.Pointer))))
}

// countPointer counts one more pointer, in the journal before members hear of it,
// so that no group is offered more than members take.
func (g *ownGroup) countPointer() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.state.Pointers++
	return g.owner.saveGroup(g.state)
}
