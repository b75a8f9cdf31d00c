package client

import (
	"context"
	"io"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Segments in memory at a time: as many as fit in flightMemory, at least two, so that
// one is sent while the next is coded, and at most mostInFlight.
const (
	flightMemory = 100 << 20
	mostInFlight = 6
)

func inFlight(p protocol.Profile) int {
	one := segmentSize(p.K) / int64(p.K) * int64(p.N)
	return int(min(max(flightMemory/one, 2), mostInFlight))
}

// noteSafe journals the segments that became safe and whose events were not handled
// yet, for a session that resumes the put.
func (p *putter) noteSafe() error {
	for {
		select {
		case ev := <-p.events:
			if ev.state != safe {
				continue
			}
			if err := p.handle(ev); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

// send cuts a reader into segments and ships them. Before it ships one of a source it
// asks whether that is unchanged: what was written to is of no use, and sending it all
// might take hours. For what is no source, unchanged is nil.
func (p *putter) send(src io.Reader, unchanged func() error, manifest bool) error {
	for {
		buf, err := p.takeBuffer()
		if err != nil {
			return err
		}
		s, err := p.builder.build(p.ctx, src, buf)
		if err == nil && s != nil && unchanged != nil {
			err = unchanged()
		}
		if err != nil || s == nil {
			p.free = append(p.free, buf)
			return err
		}
		p.read += s.plain
		if err := p.ship(s, manifest); err != nil {
			return err
		}
	}
}

// ship grants a segment and sends it to the group, or to the next one where
// this one is full.
func (p *putter) ship(s *segment, manifest bool) error {
	if !p.group.hasRoom() {
		if err := p.nextGroup(); err != nil {
			return err
		}
	}
	index := len(p.placed)
	p.placed = append(p.placed, &placement{
		group: p.group, extent: s.extent(p.group.id), sum: s.sum, desc: s.desc, bytes: s.bytes,
		acked: make([]bool, p.group.profile.N), manifest: manifest,
	})
	return p.launch(s, index, nil)
}

func (p *putter) launch(s *segment, index int, have []bool) error {
	grant, err := p.group.grant(p.id, s)
	if err != nil {
		return err
	}
	f := p.carrier.ship(s, grant, have)
	f.index = index
	p.flights = append(p.flights, f)
	p.report()
	return nil
}

// nextGroup chooses another group of the same profile: segments that are already
// coded fit no other.
func (p *putter) nextGroup() error {
	w := p.want
	w.profile = p.group.profile
	if p.total >= 0 {
		w.size = max(0, p.total-p.read) + segmentSize(p.group.profile.K)
	}
	d, err := p.c.chooseGroup(p.ctx, w)
	if err != nil {
		return &noGroupError{err}
	}
	p.useGroup(d.group)
	return nil
}

// takeBuffer waits for a free buffer. While it waits, shipments that are safe
// and overdue are cut: a slow holder stops nobody.
func (p *putter) takeBuffer() (*segmentBuffer, error) {
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	for len(p.free) == 0 {
		select {
		case ev := <-p.events:
			if err := p.handle(ev); err != nil {
				return nil, err
			}
		case <-tick.C:
			p.cutOverdue()
		case <-p.ctx.Done():
			return nil, context.Cause(p.ctx)
		}
	}
	if err := p.hear(); err != nil {
		return nil, err
	}
	buf := p.free[len(p.free)-1]
	p.free = p.free[:len(p.free)-1]
	if buf == nil {
		buf = newSegmentBuffer(p.builder.profile)
	}
	return buf, nil
}

// hear handles the events that have come meanwhile, without waiting.
func (p *putter) hear() error {
	for {
		select {
		case ev := <-p.events:
			if err := p.handle(ev); err != nil {
				return err
			}
		default:
			return nil
		}
	}
}

const cutEvery = 100 * time.Millisecond

func (p *putter) cutOverdue() {
	now := p.c.now()
	for _, f := range p.flights {
		if f.overdue(now) {
			f.cancel(errOverdue)
		}
	}
	for _, k := range append(p.old, p.carrier) {
		k.cutStopped(now)
	}
}

// handle acts on what happened to a shipment.
func (p *putter) handle(ev event) error {
	defer p.report()
	place := p.placed[ev.index]
	switch ev.state {
	case safe:
		if place.extent.Segment != ev.id {
			return nil // of a group that the segment has left since
		}
		place.isSafe = true
		if place.manifest {
			return nil // not resumed: made anew
		}
		return p.c.cfg.Owner.markSafe(p.id, ev.index, &safeState{
			Extent: place.extent, Descriptor: place.bytes, Acked: ev.acks(), Sum: place.sum,
		})
	case hopeless:
		if place.dropped {
			return nil
		}
		return p.moveOn(ev.shipment)
	case settled:
		p.land(ev.shipment)
	}
	return nil
}

// land takes a settled shipment out of flights and keeps what it achieved.
func (p *putter) land(s *shipment) {
	place := p.placed[s.index]
	p.forget(s)
	s.cancel(nil)
	if s.moved {
		return // to another group, with its buffer
	}
	p.free = append(p.free, s.buf)
	if place.extent.Segment != s.id {
		return // the segment was made again and is in another group
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	copy(place.acked, s.acked)
	p.sent += int64(s.stored-s.had) * s.desc.ShardSize
}

// awaitSafe waits until every segment is safe.
func (p *putter) awaitSafe() error {
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	for !p.allSafe() {
		select {
		case ev := <-p.events:
			if err := p.handle(ev); err != nil {
				return err
			}
		case <-tick.C:
			p.cutOverdue()
		case <-p.ctx.Done():
			return context.Cause(p.ctx)
		}
	}
	return nil
}

func (p *putter) allSafe() bool {
	for _, pl := range p.placed[p.told:] {
		if !pl.isSafe && !pl.dropped {
			return false
		}
	}
	return true
}
