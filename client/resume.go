package client

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/storage/kv"
)

// safeState is what the journal keeps of a segment of an unfinished put.
type safeState struct {
	Extent     protocol.Extent `cbor:"extent"`
	Descriptor []byte          `cbor:"descriptor"`
	Acked      []bool          `cbor:"acked"` // by slot, as far as known when it became safe

	// Sum is the checksum of its source, by sumTable; 0: unknown, as in older journals.
	Sum uint32 `cbor:"sum,omitempty"`
}

// unfinished is a put that was cut off and can go on: its source is the same
// file, as far as the file system says.
type unfinished struct {
	id   putID
	put  putState
	safe map[int]*safeState // by place in the source
}

// find returns the unfinished put of the same path, size, time and inode.
// Anything else is another source, whose bytes must not meet the same keys. A put of
// another network can only go on in that network.
func (o *Owner) find(want putState, network string) (*unfinished, error) {
	if want.Path == "" || want.Size < 0 {
		return nil, nil
	}
	var found *unfinished
	err := o.db.View(func(tx *kv.Tx) error {
		nets, err := networksOf(tx)
		if err != nil {
			return err
		}
		for key, b := range tx.Scan(bucketPuts, nil) {
			var p putState
			if err := protocol.Decode("put", b, &p); err != nil {
				return err
			}
			if len(key) != len(putID{}) || !p.sameSource(want) {
				continue
			}
			u := &unfinished{id: putID(key), put: p, safe: make(map[int]*safeState)}
			if err := u.load(tx); err != nil {
				return err
			}
			if u.isOf(network, nets) && (found == nil || len(u.safe) > len(found.safe)) {
				found = u
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for an unfinished put: %w", err)
	}
	return found, nil
}

func (p *putState) sameSource(o putState) bool {
	return p.Path == o.Path && p.Size == o.Size && p.MTime == o.MTime && p.Inode == o.Inode
}

func (u *unfinished) load(tx *kv.Tx) error {
	for key, b := range tx.Scan(bucketSafe, u.id[:]) {
		if len(key) != len(u.id)+4 {
			continue
		}
		s := new(safeState)
		if err := protocol.Decode("safe segment", b, s); err != nil {
			return err
		}
		u.safe[int(binary.BigEndian.Uint32(key[len(u.id):]))] = s
	}
	return nil
}

// isOf reports whether all segments that are safe are in a network.
func (u *unfinished) isOf(network string, nets networks) bool {
	for _, s := range u.safe {
		if nets[s.Extent.Group.Prefix()] != network {
			return false
		}
	}
	return true
}

// resume takes up an unfinished put of the same source, with the segments that
// were safe, if these are coded for today's profile. Where there is none it leaves p
// as it is.
func (p *putter) resume(src Source, today protocol.Profile) error {
	if _, ok := src.Reader.(io.Seeker); !ok {
		return nil
	}
	u, err := p.c.cfg.Owner.find(p.journalled(src), p.c.cfg.Network)
	if err != nil || u == nil || len(u.safe) == 0 || u.put.Profile != today {
		return err
	}
	p.id, p.resumed = u.id, u
	return nil
}

func (p *putter) journalled(src Source) putState {
	return putState{
		Name: src.Name, Path: src.Path, Size: src.Size, MTime: src.MTime.UnixNano(), Inode: src.Inode, Started: p.c.now().Unix(),
	}
}

// sendContent ships the source, except for the segments that an earlier session
// made safe. All segments but the last are full, so the place of each is known.
func (p *putter) sendContent(src Source) error {
	whole := &exactReader{r: src.Reader, size: src.Size}
	if p.resumed == nil {
		return p.send(whole, src.unchanged, false)
	}
	capacity := seal.PlainCapacity(segmentSize(p.group.profile.K))
	for at := int64(0); at < src.Size; at += capacity {
		length := min(capacity, src.Size-at)
		if err := errors.Join(p.ctx.Err(), p.hear()); err != nil {
			return err
		}
		p.cutOverdue()
		pl, err := p.restore(len(p.placed), length)
		if err == nil && pl != nil {
			pl, err = compare(src.Reader.(io.Seeker), whole, pl, length)
		}
		switch {
		case err != nil:
			return err
		case pl != nil:
			p.skip(pl, length)
		default:
			if err := p.send(io.LimitReader(whole, length), src.unchanged, false); err != nil {
				return err
			}
		}
	}
	_, err := io.Copy(io.Discard, whole) // has it grown meanwhile?
	return err
}

// compare reads the source of a stored segment, and returns the placement if these
// are the bytes that were stored. A file can change and keep its size, time and
// inode. Then compare returns nil, and the segment is read and sent anew.
func compare(s io.Seeker, whole *exactReader, pl *placement, length int64) (*placement, error) {
	sum := crc32.New(sumTable)
	if _, err := io.CopyN(sum, whole, length); err != nil {
		return nil, err
	}
	if pl.sum != 0 && sum.Sum32() == pl.sum {
		return pl, nil
	}
	whole.n -= length
	if _, err := s.Seek(-length, io.SeekCurrent); err != nil {
		return nil, &sourceError{err}
	}
	return nil, nil
}

// skip passes over a segment that is stored.
func (p *putter) skip(pl *placement, length int64) {
	p.read += length
	p.placed = append(p.placed, pl)
	p.report()
}

// restore returns the placement of a segment that an earlier session made
// safe, or nil where there is none of that length in an open group.
func (p *putter) restore(index int, length int64) (*placement, error) {
	s := p.resumed.safe[index]
	if s == nil || s.Extent.Offset != 0 {
		return nil, nil
	}
	if plain, err := seal.PlainSize(s.Extent.Length); err != nil || plain != length {
		return nil, nil
	}
	d, err := protocol.OpenDescriptor(s.Descriptor, s.Extent.Segment)
	if err != nil {
		return nil, fmt.Errorf("resume put: %w", err)
	}
	g, err := p.groupOf(s.Extent.Group)
	if err != nil || g == nil || g.profile != p.builder.profile || len(s.Acked) != g.profile.N {
		return nil, err
	}
	pl := &placement{group: g, extent: s.Extent, sum: s.Sum, desc: d, bytes: s.Descriptor, acked: s.Acked}
	pl.isSafe = pl.stored() >= group.SafeAt(g.profile)
	if !pl.isSafe {
		return nil, nil
	}
	return pl, nil
}

// groupOf returns a group of this owner's, with lanes to its members, or nil where
// this network has none with that ID.
func (p *putter) groupOf(id protocol.GroupID) (*ownGroup, error) {
	for _, k := range append(p.old, p.carrier) {
		if k.g.id == id {
			return k.g, nil
		}
	}
	states, err := p.c.cfg.Owner.groups()
	if err != nil {
		return nil, err
	}
	for _, s := range states {
		if s.id() != id {
			continue
		}
		g, err := p.c.cfg.Owner.openState(s)
		if err != nil || p.c.elsewhere(g) != nil {
			return nil, err
		}
		p.c.sync(p.ctx, g)
		p.old = append(p.old, newCarrier(p.ctx, p.c, g, cap(p.events), p.events))
		return g, nil
	}
	return nil, nil
}
