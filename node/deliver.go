package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// bringAtOnce bounds the shards of one slot on their way to a successor.
const bringAtOnce = 4

var (
	errNotKept = errors.New("the successor has not got what it acknowledged")
	errNoProof = errors.New("the successor does not prove what it acknowledged")
)

// keptShard is a shard that is to be handed over.
type keptShard struct {
	key   storage.ShardKey
	size  int64
	grant protocol.Hash
}

// shares lists the sound shards of this node's slot. Those that the disk has damaged
// are left out: the members make them again for the successor. A folder that is
// missing is an error: what lies in it is not lost.
func (n *Node) shares(ctx context.Context, v *neighbours.Roll, f *groupFacts) (out []keptShard, err error) {
	for sh, err := range n.store.Shards(ctx, v.ID) {
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errHere, n.hideStore("list shards", err))
		}
		grant, granted := f.grants[sh.Key.Segment]
		if !granted || int(sh.Key.Slot) != v.Own() || n.frees.has(kin{v.ID, sh.Key.Segment}) || n.scrub.isDamaged(sh.Key) {
			continue
		}
		out = append(out, keptShard{sh.Key, sh.Size, grant.ID})
	}
	return out, nil
}

// deliver brings a successor all shards and facts of this node's slot, makes it
// prove some, and gives it the handover.
func (s *succession) deliver(ctx context.Context, v *neighbours.Roll, h *handing) error {
	if err := s.exchangeGroup(ctx, v.ID); err != nil {
		return fmt.Errorf("%w: %w", errHere, err)
	}
	f, err := s.factsOf(ctx, v.ID)
	if err != nil {
		return fmt.Errorf("%w: %w", errHere, err)
	}
	shares, err := s.shares(ctx, v, f)
	if err != nil {
		return err
	}
	if shares, err = s.bringAll(ctx, v, f, h.successor(), shares); err != nil {
		return err
	}
	if err := s.bringFacts(ctx, v.ID, h.successor()); err != nil {
		return err
	}
	if !h.proved { // it owes the same proof only once
		if err := s.examineSuccessor(ctx, v, h.successor(), shares); err != nil {
			return err
		}
		h.proved = true
	}
	if !s.leaves() {
		return fmt.Errorf("%w: %w", errHere, errStays) // what is signed cannot be taken back
	}
	if err := s.giveHandover(ctx, v, h); err != nil {
		return err
	}
	s.log.Info("gave a slot to its successor", "group", v.ID.Prefix(), "slot", v.Own(), "shards", len(shares), "peer", protocol.ShortPeer(h.successor()))
	return s.noteHanding(ctx, v.ID, h, handingNote{Successor: h.Successor, Envelope: h.Envelope, Stage: handingGiven})
}

// bringLate brings a successor shards that were on their way here when the
// others were brought.
func (s *succession) bringLate(ctx context.Context, v *neighbours.Roll, to peer.ID) error {
	f, err := s.factsOf(ctx, v.ID)
	if err != nil {
		return err
	}
	shares, err := s.shares(ctx, v, f)
	if err != nil {
		return err
	}
	_, err = s.bringAll(ctx, v, f, to, shares)
	return err
}

// bringAll puts to a successor those of some shards that it lacks, and returns
// those that it has in the end: all but what turned out to be damaged or deleted.
func (s *succession) bringAll(ctx context.Context, v *neighbours.Roll, f *groupFacts, to peer.ID, shares []keptShard) ([]keptShard, error) {
	lacks, err := s.lackedBy(ctx, v.ID, to, shares)
	if err != nil {
		return nil, err
	}
	gone := make([]bool, len(lacks))
	all, under := errgroup.WithContext(ctx)
	all.SetLimit(bringAtOnce)
	for i, sh := range lacks {
		all.Go(func() (err error) { gone[i], err = s.bring(under, v, f, to, sh); return err })
	}
	if err := all.Wait(); err != nil {
		return nil, err
	}
	for i, sh := range lacks {
		if gone[i] {
			shares = slices.DeleteFunc(shares, func(o keptShard) bool { return o == sh })
		}
	}
	if lacks, err = s.lackedBy(ctx, v.ID, to, shares); err == nil && len(lacks) > 0 {
		err = fmt.Errorf("%w: it lacks %d of %d shards", errNotKept, len(lacks), len(shares))
	}
	return shares, err
}

// lackedBy asks a peer which of some shards it lacks.
func (n *Node) lackedBy(ctx context.Context, id protocol.GroupID, to peer.ID, shares []keptShard) (lacks []keptShard, err error) {
	named := make([]protocol.SegmentID, len(shares))
	for i, sh := range shares {
		named[i] = sh.key.Segment
	}
	held, err := n.askNamed(ctx, &conversation{hearSlack}, id, to, named)
	if err != nil {
		return nil, err
	}
	for i, sh := range shares {
		if !held[i] {
			lacks = append(lacks, sh)
		}
	}
	return lacks, nil
}

// bring puts one shard to a successor as it is, checked, with its descriptor and
// grant. Its bytes count as repair's. gone says that there is nothing to bring any
// more.
func (s *succession) bring(ctx context.Context, v *neighbours.Roll, f *groupFacts, to peer.ID, sh keptShard) (gone bool, err error) {
	grant, err := s.store.Fact(ctx, v.ID, sh.grant)
	if err != nil {
		return errors.Is(err, storage.ErrNotFound), s.unlessGone(err)
	}
	if err := s.deal.may(contract.Deed{Kind: contract.Give, Class: contract.Repair, Bytes: sh.size}, s.now()); err != nil {
		return false, fmt.Errorf("%w: %w", errHere, err)
	}
	done, ok := s.deal.line.Up.Transfer(ctx, contract.Repair) // as long as it takes: nobody waits for it
	if !ok {
		return false, fmt.Errorf("%w: %w", errHere, context.Cause(ctx))
	}
	defer done()
	free, err := s.gate.Own(ctx, sh.size)
	if err != nil {
		return false, fmt.Errorf("%w: %w", errHere, err)
	}
	defer free()
	buf := s.buffers.Get(sh.size)
	defer s.buffers.Put(buf)
	desc, err := s.readSound(ctx, v.ID, sh, *buf)
	if err != nil || desc == nil {
		return desc == nil, s.unlessGone(err)
	}
	ask, cancel := context.WithTimeout(ctx, shardTimeout(sh.size))
	defer cancel()
	err = s.caller.Put(ask, to, &protocol.PutRequest{Record: f.record, Slot: v.Own(), Descriptor: desc, Grant: grant.Bytes}, *buf)
	switch {
	case errors.Is(err, protocol.ErrDeleted):
		return true, nil // its owner told the successor first
	case err == nil:
		s.count.given.Add(sh.size)
	}
	return false, err
}

// unlessGone marks an error as this node's own, unless it is that something is no
// longer held.
func (s *succession) unlessGone(err error) error {
	if err == nil || errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return fmt.Errorf("%w: %w", errHere, s.hideStore("read a shard", err))
}

// readSound reads a shard into buf and checks it; desc is nil where the shard is
// damaged, which is noted.
func (n *Node) readSound(ctx context.Context, id protocol.GroupID, sh keptShard, buf []byte) (desc []byte, err error) {
	r, err := n.store.OpenShard(ctx, sh.key)
	if err == nil {
		defer func() { _ = r.Close() }()
		err = r.ReadAll(buf)
	}
	switch {
	case errors.Is(err, storage.ErrCorrupt):
		n.shardDamaged(ctx, id, sh.key, err)
		return nil, nil
	case err != nil:
		return nil, err
	}
	return slices.Clone(r.Descriptor()), nil
}

// bringFacts offers a peer all facts of a group, except peer records that it would
// refuse, because it does not know those peers as members.
func (n *Node) bringFacts(ctx context.Context, id protocol.GroupID, to peer.ID) error {
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return fmt.Errorf("%w: %w", errHere, n.hideStore("open group", err))
	}
	defer release()
	return n.offerFacts(ctx, &conversation{compareSlack}, g, to, g.OwnersFacts())
}

// examineSuccessor makes a successor prove some of what it acknowledged. One that
// does not know this node as a member owes it no proof; the other members audit it
// themselves. Where there are none this node's audit is the only one.
func (s *succession) examineSuccessor(ctx context.Context, v *neighbours.Roll, to peer.ID, shares []keptShard) error {
	t := &auditTurn{Node: s.Node, group: v.ID, known: make(map[protocol.SegmentID]*protocol.Descriptor)}
	var segments []protocol.SegmentID
	for _, sh := range shares {
		segments = append(segments, sh.key.Segment)
	}
	segments = audit.Draw(segments, s.cfg.Timing.Audit.EntryShards, s.rand.float)
	t.describe(ctx, segments)
	var refs []protocol.ShardRef
	for _, seg := range segments {
		if t.known[seg] != nil {
			refs = append(refs, protocol.ShardRef{Segment: seg, Slot: v.Own()})
		}
	}
	if len(refs) == 0 {
		return nil
	}
	passed := 0
	for _, o := range t.exchange(ctx, neighbours.AuditJob{Peer: to, Slot: v.Own()}, refs) {
		switch {
		case o.counts && (o.outcome == audit.Missing || o.outcome == audit.Corrupt):
			return errNoProof
		case o.counts && o.outcome == audit.OK:
			passed++
		}
	}
	if passed == 0 && len(v.Table.Held) == 1 {
		return errNoProof
	}
	return nil
}
