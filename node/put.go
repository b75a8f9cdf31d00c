package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/line"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// putOrder is a Put that passed every check but its bytes'.
type putOrder struct {
	group     *truth.Group
	segment   protocol.SegmentID
	desc      *protocol.Descriptor
	grant     protocol.Fact
	grantInfo *protocol.Grant
}

// Put takes one shard. It checks in the order of SPEC.md, Put, reads the bytes
// only after everything else, and acknowledges only what is durable. A shard
// that is held already is acknowledged immediately.
func (n *Node) Put(ctx context.Context, from protocol.Remote, r *protocol.PutRequest, body io.Reader) (*protocol.PutReply, error) {
	_, id, err := protocol.ParseGroupRecord(n.cfg.Network, r.Record)
	if err != nil {
		return nil, err
	}
	if err := n.mayLoad(ctx, from, id); err != nil {
		return nil, err
	}
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return nil, n.hideStore("open group", err)
	}
	defer release()
	o, err := n.checkPut(g, r)
	if err != nil {
		return nil, err
	}
	held, err := n.stillHeld(ctx, from, o)
	switch {
	case err != nil:
		return nil, err
	case held:
		_, err := io.Copy(io.Discard, body)
		return new(protocol.PutReply), err
	}
	done, err := n.mayTake(ctx, from, o, r.Length)
	if err != nil {
		return nil, protocol.Unread(err)
	}
	defer done()
	if err := n.takeShard(ctx, from, o, r, body); err != nil {
		return nil, err
	}
	n.count.puts.Add(1)
	n.count.received.Add(r.Length)
	n.enterSoon(g)
	return new(protocol.PutReply), nil
}

// mayTake asks the donor's contract whether a shard may come, and waits for the
// line. What a co-member brings is repair: an owner's session has another
// peer ID.
func (n *Node) mayTake(ctx context.Context, from protocol.Remote, o *putOrder, bytes int64) (done func(), err error) {
	class := contract.Clients
	if n.neighbours.IsMember(o.group.ID, from.Peer) || o.group.NominatedBy(from.Peer) {
		class = contract.Repair
	}
	done, err = n.deal.bulk(ctx, n.deal.line.Down, contract.Deed{Kind: contract.Store, Class: class, Bytes: bytes}, n.now())
	if err == nil {
		line.Charge(ctx, class)
	}
	return done, err
}

// trustFor is how long a shard, once verified, is not read again when it is put again:
// else a request of a kilobyte could make the disk read 4 MiB.
const trustFor = time.Hour

// stillHeld reports whether a shard and its grant are held already, and the
// disk still gives the shard back, as verified within trustFor: one that it damaged
// is taken again.
func (n *Node) stillHeld(ctx context.Context, from protocol.Remote, o *putOrder) (bool, error) {
	key, _, ok := o.group.KeyOf(o.segment)
	if !ok || !o.group.DurableGrant(o.grant.ID()) {
		return false, nil
	}
	if n.verified.resting(key, n.neighbours.Now()) && n.isThere(ctx, key) {
		return true, nil
	}
	free, err := n.gate.Body(ctx, from, o.desc.ShardSize)
	if err != nil {
		return false, err
	}
	defer free()
	err = n.store.Verify(ctx, key)
	if errors.Is(err, storage.ErrCorrupt) || errors.Is(err, storage.ErrNotFound) {
		n.log.Warn("a shard held is damaged, it is taken again", "segment", o.segment, "err", err)
		return false, nil
	}
	if err == nil {
		n.shardMended(ctx, o.group.ID, key)
		now := n.neighbours.Now()
		n.verified.until(key, now+trustFor, now)
	}
	return err == nil, n.hideStore("verify shard", err)
}

// isThere reports whether a shard is on the disk, and not known to be damaged.
func (n *Node) isThere(ctx context.Context, key storage.ShardKey) bool {
	sh, err := n.store.OpenShard(ctx, key)
	if err != nil {
		return false
	}
	return sh.Close() == nil && !n.scrub.isDamaged(key)
}

// checkPut checks all that can be seen without the bytes, in the norm's order.
func (n *Node) checkPut(g *truth.Group, r *protocol.PutRequest) (*putOrder, error) {
	record, table, err := g.Founded()
	if err != nil {
		return nil, err
	}
	if r.Slot != g.OwnSlot() {
		return nil, protocol.Refuse(protocol.CodeWrongSlot, "slot %d is another's", r.Slot)
	}
	if err := n.checkLease(g.ID); err != nil {
		return nil, err
	}
	grant, err := protocol.OpenGrant(record, g.ID, r.Grant)
	if err != nil {
		return nil, err
	}
	if len(grant.Subject) != len(protocol.SegmentID{}) {
		return nil, protocol.Refuse(protocol.CodeMalformed, "the grant is for a pointer")
	}
	o := &putOrder{
		group: g, segment: protocol.SegmentID(grant.Subject), grantInfo: grant,
		grant: protocol.Fact{Kind: protocol.FactGrant, Bytes: r.Grant},
	}
	if g.Deleted(grant.Subject) {
		return nil, protocol.Refuse(protocol.CodeDeleted, "segment %s", o.segment)
	}
	return o, o.checkDescriptor(table.Profile, r)
}

func (o *putOrder) checkDescriptor(p protocol.Profile, r *protocol.PutRequest) error {
	if protocol.SegmentID(protocol.Sum(r.Descriptor)) != o.segment {
		return protocol.Refuse(protocol.CodeForged, "the descriptor is not of the granted segment")
	}
	d, err := protocol.ParseDescriptor(r.Descriptor)
	if err != nil {
		return err
	}
	o.desc = d
	switch {
	case o.grantInfo.Bytes != d.Footprint():
		return protocol.Refuse(protocol.CodeDenied, "the grant is for %d bytes, the segment takes %d", o.grantInfo.Bytes, d.Footprint())
	case d.K != p.K || d.N != p.N:
		return protocol.Refuse(protocol.CodeMalformed, "segment coded %d of %d in a group of %s", d.K, d.N, p)
	case r.Length != d.ShardSize:
		return protocol.Refuse(protocol.CodeMalformed, "%d bytes, where shards have %d", r.Length, d.ShardSize)
	}
	return nil
}

// takeShard makes room, reads the bytes, checks their hash and stores them.
func (n *Node) takeShard(ctx context.Context, from protocol.Remote, o *putOrder, r *protocol.PutRequest, body io.Reader) error {
	if err := o.group.BeginGrant(o.segment[:]); err != nil {
		return err
	}
	defer o.group.EndGrant(o.segment[:])
	room, err := n.admit(ctx, o.group.ID, o.cost())
	if err != nil {
		return err
	}
	free, err := n.gate.Body(ctx, from, r.Length)
	if err != nil {
		room.Dropped()
		return err
	}
	defer free()
	buf := n.buffers.Get(r.Length)
	defer n.buffers.Put(buf)
	shard, err := readShard(body, *buf, o.desc.Roots[r.Slot])
	if err != nil {
		room.Dropped()
		return err
	}
	return n.keepTaken(ctx, o, r, shard, room)
}

// keepOwn takes a shard of this node's own slot that it made itself, as Put
// takes one that comes.
func (n *Node) keepOwn(ctx context.Context, id protocol.GroupID, r *protocol.PutRequest, raw []byte) error {
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return n.hideStore("open group", err)
	}
	defer release()
	o, err := n.checkPut(g, r)
	if err != nil {
		return err
	}
	if err := n.deal.may(contract.Deed{Kind: contract.Store, Class: contract.Repair, Bytes: r.Length}, n.now()); err != nil {
		return err
	}
	if err := g.BeginGrant(o.segment[:]); err != nil {
		return err
	}
	defer g.EndGrant(o.segment[:])
	room, err := n.admit(ctx, id, o.cost())
	if err != nil {
		return err
	}
	outboard, root := protocol.Outboard(raw)
	if root != o.desc.Roots[r.Slot] {
		room.Dropped()
		return protocol.Refuse(protocol.CodeForged, "the bytes do not fit the slot's root")
	}
	return n.keepTaken(ctx, o, r, &storage.Shard{Data: raw, Outboard: outboard}, room)
}

// keepTaken makes a shard that fits its root durable, and counts it as held.
func (n *Node) keepTaken(ctx context.Context, o *putOrder, r *protocol.PutRequest, shard *storage.Shard, room *quota.Admission) error {
	shard.Key = storage.ShardKey{Segment: o.segment, Slot: uint8(r.Slot)}
	shard.Group, shard.Descriptor = o.group.ID, r.Descriptor
	if err := n.keepShard(ctx, o, shard); err != nil {
		room.Dropped()
		return err
	}
	room.Stored()
	n.shardMended(ctx, shard.Group, shard.Key)
	return n.commitShard(ctx, o, room)
}

func readShard(body io.Reader, buf []byte, root protocol.Hash) (*storage.Shard, error) {
	sum := new(storage.Sum)
	outboard, got, err := protocol.ReadOutboard(io.TeeReader(body, sum), buf)
	if err != nil {
		return nil, fmt.Errorf("read shard: %w", err)
	}
	if got != root {
		return nil, protocol.Refuse(protocol.CodeForged, "the bytes do not fit the slot's root")
	}
	return &storage.Shard{Data: buf, Outboard: outboard, Sum: sum}, nil
}

// keepShard makes shard and grant durable, in one group commit where the store
// can. It goes on when the peer goes away: what is written is not wasted.
func (n *Node) keepShard(ctx context.Context, o *putOrder, s *storage.Shard) error {
	ctx = context.WithoutCancel(ctx)
	var both errgroup.Group
	both.Go(func() error { return n.store.PutShard(ctx, s) })
	if !o.group.DurableGrant(o.grant.ID()) {
		both.Go(func() error { return n.store.PutFact(ctx, toStore(o.group.ID, o.grant)) })
	}
	return n.hideStore("store shard", both.Wait())
}

// cost returns what shard and grant are charged.
func (o *putOrder) cost() int64 { return o.kept(true, true) }

// kept returns what those of shard and grant that are new are charged.
func (o *putOrder) kept(shard, grant bool) (cost int64) {
	if shard {
		cost += shardCost(o.desc.ShardSize, o.desc.N)
	}
	if grant {
		cost += factCost(len(o.grant.Bytes))
	}
	return cost
}

// commitShard takes what is durable into the group's state. A delete that came
// meanwhile wins.
func (n *Node) commitShard(ctx context.Context, o *putOrder, room *quota.Admission) error {
	g := o.group
	m, news := g.MergePut(o.grant, o.grantInfo, o.segment, n.self, n.now())
	n.neighbours.GotOwn(g.ID, o.segment)
	n.quota.Returned(g.ID, dropCost(m)+room.Bytes-o.kept(news, m.Kept)) // another Put of the same counted the rest
	n.dropFacts(ctx, g.ID, m.Drops)
	switch {
	case m.Code == protocol.CodeDeleted:
		n.dropFacts(ctx, g.ID, []protocol.Hash{o.grant.ID()})
		if err := n.freeLater(ctx, g.ID, o.segment); err != nil {
			return err
		}
		return protocol.Refuse(protocol.CodeDeleted, "segment %s", o.segment)
	case !m.Kept && m.Code == 0 && !g.Knows(o.grant.ID()):
		n.dropFacts(ctx, g.ID, []protocol.Hash{o.grant.ID()}) // a grant for more counts
	}
	n.announceIfMember(g)
	return nil
}
