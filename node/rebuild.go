package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/repair"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
	"github.com/cairnstore/cairn/storage/erasure"
)

// errInconsistent says that k true shards contradict the root of another: the
// descriptor is false.
var errInconsistent = errors.New("the descriptor contradicts itself")

// takers returns the peers that are to have a slot's shard of a segment: holders that
// lack it and answer, else the candidate. A peer that got it from this node not long
// ago, or says that it has it, is not given it again for now, even if it does not
// prove it: making it again takes k loans. A peer that stalls gets nothing for a while.
func (n *Node) takers(v *neighbours.Roll, slot int, s protocol.SegmentID) (out []peer.ID) {
	now, lacking := n.neighbours.Now(), v.Lacking(s)
	may := func(id peer.ID) bool {
		return !n.stalledNow(id) && !n.repairs.given.resting(loan{borrower: borrower{id, v.ID}, segment: s}, now)
	}
	lacks := false
	for i := range v.Table.Held {
		h := &v.Table.Held[i]
		if int(h.Slot) == slot && v.Living.Has(i) && lacking.Has(i) {
			lacks = true
			if may(h.Peer) {
				out = append(out, h.Peer)
			}
		}
	}
	if c, ok := n.nominees.at(place{v.ID, slot}, now); ok && !lacks && may(c.peer) {
		out = append(out, c.peer)
	}
	return out
}

// gave notes that a peer has a shard. The peer does not count as a holder for that: it
// still has to prove the shard. But nobody need make the shard again for a while.
func (n *Node) gave(v *neighbours.Roll, to peer.ID, s protocol.SegmentID, while time.Duration) {
	now, what := n.neighbours.Now(), loan{borrower: borrower{to, v.ID}, segment: s}
	n.repairs.given.until(what, now+while, now)
	n.repairs.arriving.once(what, now+n.cfg.Timing.NomineeFor, now) // a peer that says so for ever keeps nobody waiting
}

// arrives reports whether a segment will need no repair once the candidates that
// already have their shards of it have entered, which takes hours. Making, before
// that, one that is still missing would take as many loans as making all.
func (n *Node) arrives(v *neighbours.Roll, s protocol.SegmentID, missing group.Set, c group.Count) bool {
	if group.Assess(v.Table.Profile, c) != group.Lazy {
		return false
	}
	now, arriving := n.neighbours.Now(), make(map[peer.ID]struct{}) // one named for two slots has one shard
	for slot := range v.Table.Profile.N {
		who, named := n.nominees.at(place{v.ID, slot}, now)
		if missing.Has(slot) && named && n.repairs.arriving.resting(loan{borrower: borrower{who.peer, v.ID}, segment: s}, now) {
			arriving[who.peer] = struct{}{}
		}
	}
	return c.Holding+len(arriving)+c.Unaudited > v.Table.Profile.R
}

// askWhoHas asks candidates whether they have a job's shards already: another member
// may have repaired the segment before, and this node may not know of it.
func (n *Node) askWhoHas(ctx context.Context, j *repairJob) {
	var all errgroup.Group
	all.SetLimit(asksAtOnce)
	for slot := range j.roll.Table.Profile.N {
		c, ok := n.nominees.at(place{j.roll.ID, slot}, n.neighbours.Now())
		if !ok || !j.missing.Has(slot) || c.peer == n.self {
			continue
		}
		all.Go(func() error {
			m, err := n.askHave(ctx, c.peer, &protocol.HaveRequest{Group: j.roll.ID, Named: []protocol.SegmentID{j.segment}})
			if err == nil && m.Held[0] {
				n.gave(j.roll, c.peer, j.segment, n.cfg.Timing.NomineeFor)
			}
			return nil
		})
	}
	_ = all.Wait()
}

// repairSegment makes the missing shards of a segment and gives them to their
// takers. What fails is looked at again in a later round.
func (n *Node) repairSegment(ctx context.Context, j *repairJob) {
	begun := n.now()
	made, err := n.remake(ctx, j)
	switch {
	case errors.Is(err, errInconsistent):
		n.condemn(ctx, kin{j.roll.ID, j.segment})
		n.log.Warn("a segment cannot be repaired: its descriptor is false", "group", j.roll.ID.Prefix(), "segment", j.segment)
	case errors.Is(err, errLendLater) && n.askedLate(j):
	case err != nil && ctx.Err() == nil:
		now, rest := n.neighbours.Now(), group.TurnLength(n.cfg.Timing.RepairDay) // until it is another's turn
		if errors.Is(err, errStalls) {
			rest = min(rest, stallsPutOff*n.cfg.Timing.RepairEvery)
		}
		n.repairs.failed.until(kin{j.roll.ID, j.segment}, now+rest, now)
		n.log.Info("a segment is not repaired", "group", j.roll.ID.Prefix(), "segment", j.segment, "made", made, "err", err)
	case made > 0:
		n.log.Info("repaired a segment", "group", j.roll.ID.Prefix(), "segment", j.segment, "shards", made, "fetched", j.fetched, "took", n.now().Sub(begun))
	}
	if made > 0 {
		n.count.repaired.Add(int64(made))
	}
	pause(ctx, repairPause, nil)
}

// askedLate plans to do a job again when the members that noted the request lend
// their shards, at most once a turn; it reports whether it did.
func (n *Node) askedLate(j *repairJob) bool {
	k, now := kin{j.roll.ID, j.segment}, n.neighbours.Now()
	if n.repairs.asked.resting(k, now) {
		return false
	}
	again := now + n.cfg.Timing.ConfessFirst*5/4
	n.repairs.asked.until(k, now+group.TurnLength(n.cfg.Timing.RepairDay), now)
	n.repairs.failed.until(k, again, now)
	n.repairs.lookAt(k, again)
	return true
}

// lookAgain asks the peers that are to have a job's shards whether they still lack
// them, and brings the job up to date with what this node sees now. It reports
// whether something is left to do.
func (n *Node) lookAgain(ctx context.Context, j *repairJob) bool {
	now := n.neighbours.Now()
	lacking := j.roll.Lacking(j.segment)
	for i := range j.roll.Table.Held {
		h := &j.roll.Table.Held[i]
		who := borrower{h.Peer, j.roll.ID}
		if i == j.roll.Self || !lacking.Has(i) || !j.roll.Living.Has(i) || n.revisits.asked.resting(who, now) {
			continue
		}
		n.revisits.asked.until(who, now+n.cfg.Timing.RepairEvery, now)
		n.askLacking(ctx, j.roll.ID, h.Peer, int(h.Slot))
	}
	n.askWhoHas(ctx, j)
	v := n.neighbours.Roll(j.roll.ID)
	if v == nil {
		return false
	}
	t := group.NewTally(v.Table.Slots(), v.View)
	lacking = v.Lacking(j.segment)
	count := t.Count(lacking)
	c := group.Assess(v.Table.Profile, count)
	j.roll, j.missing = v, repair.Missing(v.Table.Profile, &t, v.View, lacking, c)
	return c.NeedsRepair() && n.hasTakers(j) && !n.arrives(v, j.segment, j.missing, count)
}

// hasTakers reports whether somebody would take one of a job's shards.
func (n *Node) hasTakers(j *repairJob) bool {
	for slot := range j.roll.Table.Profile.N {
		if j.missing.Has(slot) && len(n.takers(j.roll, slot, j.segment)) > 0 {
			return true
		}
	}
	return false
}

// remake returns how many shards it has put.
func (n *Node) remake(ctx context.Context, j *repairJob) (made int, err error) {
	if !n.lookAgain(ctx, j) {
		return 0, nil
	}
	grant, err := n.grantOf(ctx, j)
	if err != nil {
		return 0, err
	}
	p := j.roll.Table.Profile
	c := &collection{Node: n, job: j, k: p.K, size: j.facts.shardSize(j.segment, p)}
	if c.readOwn(ctx); c.d != nil {
		c.size = c.d.ShardSize
	}
	most := int64(c.k) * c.size
	fetch := contract.Deed{Kind: contract.Fetch, Class: contract.Repair, Bytes: most, Urgent: j.urgent}
	done, err := n.deal.bulk(ctx, n.deal.line.Down, fetch, n.now())
	if err != nil {
		return 0, err
	}
	defer done()
	free, err := n.repairRoom(ctx, most+c.size*int64(min(n.atOnce(givesAtOnce), j.missing.Count())))
	if err != nil {
		return 0, err
	}
	defer free()
	if err := c.gather(ctx); err != nil {
		return 0, err
	}
	return n.giveAll(ctx, c, grant)
}

// repairRoom takes memory for the shards from which others are made. All repairs
// share half of this node's memory for shards, and take no more than that: so nobody
// that asks for a shard has to wait until lenders have answered.
func (n *Node) repairRoom(ctx context.Context, bytes int64) (release func(), err error) {
	part := min(bytes, n.repairs.most)
	if err := n.repairs.room.Acquire(ctx, part); err != nil {
		return nil, err
	}
	free, err := n.gate.Own(ctx, part)
	if err != nil {
		n.repairs.room.Release(part)
		return nil, err
	}
	return func() { free(); n.repairs.room.Release(part) }, nil
}

// giveAll makes the missing shards from what was collected and gives each to its
// takers. It returns how many were taken.
func (n *Node) giveAll(ctx context.Context, c *collection, grant []byte) (made int, err error) {
	code, err := erasure.New(c.d.K, c.d.N)
	if err != nil {
		return 0, err
	}
	var taken atomic.Int64
	var all errgroup.Group
	all.SetLimit(n.atOnce(givesAtOnce))
	for slot := range c.d.N {
		to := n.takers(c.job.roll, slot, c.job.segment)
		if !c.job.missing.Has(slot) || len(to) == 0 || c.have[slot] != nil {
			continue
		}
		all.Go(func() error {
			shard, err := remakeSlot(code, c.d, c.have, slot)
			if err != nil {
				return err
			}
			r := &protocol.PutRequest{Record: c.job.facts.record, Slot: slot, Descriptor: c.desc, Grant: grant, Length: c.d.ShardSize}
			if n.give(ctx, c.job, slot, to, r, shard) {
				taken.Add(1)
			}
			return nil
		})
	}
	err = all.Wait()
	return int(taken.Load()), err
}

// remakeSlot makes one slot's shard from k others and checks its root.
func remakeSlot(code *erasure.Code, d *protocol.Descriptor, have [][]byte, slot int) ([]byte, error) {
	shards, want := slices.Clone(have), make([]bool, d.N)
	shards[slot], want[slot] = make([]byte, 0, d.ShardSize), true
	if err := code.Reconstruct(shards, want); err != nil {
		return nil, err
	}
	if protocol.Sum(shards[slot]) != d.Roots[slot] {
		return nil, errInconsistent
	}
	return shards[slot], nil
}

// give puts a shard to the peers that are to have it; it reports whether one took
// it.
func (n *Node) give(ctx context.Context, j *repairJob, slot int, to []peer.ID, r *protocol.PutRequest, shard []byte) (taken bool) {
	for _, id := range to {
		if id == n.self {
			if err := n.keepOwn(ctx, j.roll.ID, r, shard); err != nil {
				n.log.Warn("the own shard of a repaired segment is not kept", "group", j.roll.ID.Prefix(), "segment", j.segment, "err", err)
				continue
			}
			taken = true
			continue
		}
		err := n.moveShard(ctx, id, r.Length, func(ctx context.Context) error { return n.caller.Put(ctx, id, r, shard) })
		if err != nil {
			n.log.Debug("a repaired shard is not taken", "peer", protocol.ShortPeer(id), "slot", slot, "segment", j.segment, "err", err)
			switch now := n.neighbours.Now(); {
			case refusedForGood(err):
				n.nominees.drop(place{j.roll.ID, slot})
			case unreached(err):
				if n.repairs.late.keep(parcel{kin{j.roll.ID, j.segment}, slot, id}, r, shard, now+n.cfg.Timing.RepairDay) {
					n.gave(j.roll, id, j.segment, n.cfg.Timing.RepairDay)
				}
			}
			continue
		}
		taken = true
		n.count.given.Add(int64(len(shard)))
		n.neighbours.Got(j.roll.ID, id, slot, j.segment)
		n.gave(j.roll, id, j.segment, n.cfg.Timing.ConfessedFor)
	}
	return taken
}

// refusedForGood reports whether a candidate will not take the shard later
// either.
func refusedForGood(err error) bool {
	for _, no := range []error{protocol.ErrWrongSlot, protocol.ErrFull, protocol.ErrUnknown, protocol.ErrConflict, protocol.ErrDraining} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// grantOf returns the owner's grant of a job's segment.
func (n *Node) grantOf(ctx context.Context, j *repairJob) ([]byte, error) {
	f, err := n.store.Fact(ctx, j.roll.ID, j.facts.grants[j.segment].ID)
	if err != nil {
		return nil, fmt.Errorf("read grant: %w", err)
	}
	return f.Bytes, nil
}
