package client

import (
	"errors"
	"slices"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// moveOn puts a segment that cannot become safe in its group into a new one:
// the group is closed, the segment deleted from it, and the same sealed bytes
// are sent again.
func (p *putter) moveOn(s *shipment) error {
	s.cancel(nil)
	p.awaitIdle(s)
	p.forget(s)
	s.moved = true
	again := *s.segment // a copy: lanes may still read the old one
	return p.relocate(&again, s.index)
}

// relocate closes a segment's group and launches the segment in another one, under
// another ID: a node that is in both groups has the old ID as deleted.
func (p *putter) relocate(s *segment, index int) error {
	place := p.placed[index]
	k := p.carrierOf(place.group)
	if err := p.c.cfg.Owner.forgetSafe(p.id, index); err != nil {
		return err
	}
	if err := p.leave(place.group, s.id); err != nil {
		return errors.Join(err, k.refusals())
	}
	if err := p.builder.describe(s, s.desc.Size, s.desc.ShardSize, s.desc.Roots); err != nil {
		return err
	}
	place.group, place.extent, place.isSafe = p.group, s.extent(p.group.id), false
	place.desc, place.bytes = s.desc, s.bytes
	clear(place.acked)
	return p.launch(s, index, nil)
}

// leave takes a segment back from a group that failed it, and forms another group
// unless the put has already left this one.
func (p *putter) leave(g *ownGroup, id protocol.SegmentID) error {
	p.c.log.Info("segment cannot be safe in its group", "group", g.id.Prefix(), "segment", id, "refusals", p.carrierOf(g).refusals())
	if err := g.close(); err != nil {
		return err
	}
	p.carrierOf(g).blame()
	p.retract(g, id)
	if p.group != g {
		return nil
	}
	return p.nextGroup()
}

// retract tells a group's members to free a segment; those that do not answer learn
// of it from the others. The put goes on meanwhile, since otherwise it would wait
// for dead members.
func (p *putter) retract(g *ownGroup, id protocol.SegmentID) {
	del := protocol.SignDelete(g.ownerKey, g.networkName, g.id, id[:])
	p.retracts.Go(func() {
		_, _ = p.c.tellAll(p.ctx, g, []protocol.Fact{{Kind: protocol.FactDelete, Bytes: del}})
	})
}

// forget takes a shipment out of flights.
func (p *putter) forget(s *shipment) {
	p.flights = slices.DeleteFunc(p.flights, func(f *shipment) bool { return f == s })
}

// awaitIdle waits until a shipment's lanes have let go of it. Events that come
// meanwhile are handled later, in order. Overdue shipments are cut, because a lane
// that hangs on another segment holds this one up, too.
func (p *putter) awaitIdle(s *shipment) {
	tick := time.NewTicker(cutEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.idle:
			return
		case <-tick.C:
			p.cutOverdue()
		}
	}
}
