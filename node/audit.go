package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

const (
	// auditTimeout is how long a holder has to prove what one exchange asks.
	auditTimeout = pendingFor
	// auditsAtOnce bounds the holders of a group that are asked at a time.
	auditsAtOnce = 4
	// auditRate is how many shards a second are asked for, at most.
	auditRate = 64
)

// auditLoop audits other holders, group after group.
func (n *Node) auditLoop(ctx context.Context) {
	for ctx.Err() == nil {
		wait, err := n.auditOnce(ctx)
		if err != nil && ctx.Err() == nil {
			n.log.Warn("auditing", "err", err)
		}
		if !pause(ctx, wait, n.neighbours.AuditWake) {
			return
		}
	}
}

// auditOnce audits what is due in all groups, and returns when the next is.
func (n *Node) auditOnce(ctx context.Context) (wait time.Duration, err error) {
	due, wait := n.neighbours.PassesDue()
	for _, id := range due {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		err = errors.Join(err, n.auditGroup(ctx, id))
	}
	if len(due) > 0 {
		_, wait = n.neighbours.PassesDue()
	}
	return wait, err
}

// auditGroup audits what is due of one group's holders.
func (n *Node) auditGroup(ctx context.Context, id protocol.GroupID) error {
	segments, err := n.segmentsOf(ctx, id)
	if err != nil {
		return err
	}
	jobs := n.neighbours.PlanPass(id, segments, n.rand.float)
	t := &auditTurn{Node: n, group: id, segments: segments, known: make(map[protocol.SegmentID]*protocol.Descriptor)}
	_ = atOnce(auditsAtOnce, len(jobs), func(i int) error { jobs[i] = t.hear(ctx, jobs[i]); return nil })
	for _, j := range jobs {
		t.describe(ctx, j.ByLot)
		t.describe(ctx, j.Besides)
	}
	return atOnce(auditsAtOnce, len(jobs), func(i int) error { t.do(ctx, jobs[i]); return nil })
}

// segmentsOf lists the segments of a group of which a sound shard is held here,
// and drops what is known of others. It asks the index only: to read a group's
// facts would cost a disk a seek for each.
func (n *Node) segmentsOf(ctx context.Context, id protocol.GroupID) ([]protocol.SegmentID, error) {
	_, own, _ := n.neighbours.SlotsOf(id)
	var out []protocol.SegmentID
	held := make(map[protocol.SegmentID]struct{})
	for sh, err := range n.store.Shards(ctx, id) {
		if err != nil && n.elsewhere(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("list shards of group %s: %w", id.Prefix(), err)
		}
		if int(sh.Key.Slot) != own || n.frees.has(kin{id, sh.Key.Segment}) {
			continue
		}
		held[sh.Key.Segment] = struct{}{}
		if !n.scrub.isDamaged(sh.Key) {
			out = append(out, sh.Key.Segment)
		}
	}
	slices.SortFunc(out, protocol.CompareIDs)
	n.neighbours.ForgetFaults(id, func(s protocol.SegmentID) bool { _, ok := held[s]; return ok })
	return out, nil
}

// auditTurn is one pass over a group.
type auditTurn struct {
	*Node
	group    protocol.GroupID
	segments []protocol.SegmentID // that are sound here, in order
	known    map[protocol.SegmentID]*protocol.Descriptor
}

// hear asks a holder what it has, where it has not said so or
// asks for a slot: what it says that it lacks is no failure.
func (t *auditTurn) hear(ctx context.Context, j neighbours.AuditJob) neighbours.AuditJob {
	if !j.Entry && t.neighbours.HasListed(t.group, j.Peer, j.Slot) {
		return j
	}
	told, err := t.listOf(ctx, t.group, j.Peer, t.neighbours.Question(t.group, t.segments, false))
	var no *protocol.Error
	switch {
	case told:
		return t.neighbours.Listed(t.group, j, t.segments, t.rand.float)
	case j.Entry: // a peer that lists nothing proves nothing, and is told no names
		t.neighbours.TriedInVain(t.group, j.Peer, j.Slot)
		return neighbours.AuditJob{}
	case err != nil && (!errors.As(err, &no) || no.Code == protocol.CodeNotFound):
		return j // silent, or without the group: the audit says which
	case t.neighbours.Unlisted(t.group, j.Peer, j.Slot):
		return j
	}
	return neighbours.AuditJob{}
}

// describe reads the descriptors of segments, which tell every shard's root:
// they lie beside this node's own shards.
func (t *auditTurn) describe(ctx context.Context, segments []protocol.SegmentID) {
	for _, s := range segments {
		if t.known[s] != nil {
			continue
		}
		sh, err := t.openShard(ctx, s, protocol.AnySlot)
		if err != nil {
			continue
		}
		d, err := protocol.OpenDescriptor(sh.Descriptor(), s)
		_ = sh.Close()
		if err == nil {
			t.known[s] = d
		}
	}
}

// do asks one holder, in as many exchanges as it takes.
func (t *auditTurn) do(ctx context.Context, j neighbours.AuditJob) {
	var refs []protocol.ShardRef
	for _, list := range [][]protocol.SegmentID{j.ByLot, j.Besides} {
		for _, s := range list {
			if t.known[s] != nil {
				refs = append(refs, protocol.ShardRef{Segment: s, Slot: j.Slot})
			}
		}
	}
	refs = unique(refs)
	passed, bad := 0, 0
	for len(refs) > 0 && ctx.Err() == nil {
		batch := refs[:min(len(refs), protocol.MaxAuditShards)]
		refs = refs[len(batch):]
		for i, o := range t.exchange(ctx, j, batch) {
			if !o.counts {
				if o.outcome == audit.Reported {
					t.neighbours.Excuse(t.group, j.Peer, j.Slot, batch[i].Segment)
				}
				continue
			}
			if j.Entry && o.outcome == audit.Missing {
				t.neighbours.Miss(t.group, j.Peer, j.Slot, batch[i].Segment)
				continue
			}
			t.count.audited(o.outcome)
			t.neighbours.Saw(t.group, j.Peer, j.Slot, batch[i].Segment, o.outcome)
			switch o.outcome {
			case audit.OK:
				passed++
			case audit.Corrupt:
				bad++ // never let in
			}
		}
		pause(ctx, time.Duration(len(batch))*time.Second/auditRate, nil)
	}
	if j.Entry {
		t.entered(j, passed, bad)
	}
}

// entered decides about a peer that asked for a slot: it has to prove at least
// one shard, and none falsely. A shard that it lacks as yet does not count as held.
func (t *auditTurn) entered(j neighbours.AuditJob, passed, bad int) {
	switch {
	case bad > 0:
		t.neighbours.Disprove(t.group, j.Peer, j.Slot)
		t.log.Warn("a peer that asks for a slot proves it falsely", "group", t.group.Prefix(), "slot", j.Slot, "peer", protocol.ShortPeer(j.Peer))
	case passed > 0:
		t.letIn(j)
	default:
		t.neighbours.TriedInVain(t.group, j.Peer, j.Slot)
	}
}

// inNeed reports whether a segment needs repair: then it is brought to the holders
// that lack it. Until then nobody brings it to a holder that came by proof after the
// segment did: that such a holder lacks it is no failure.
func (t *auditTurn) inNeed(s protocol.SegmentID) bool {
	v := t.neighbours.RollFor(t.group, s)
	if v == nil || !t.isAlive(t.group) {
		return false
	}
	tally := group.NewTally(v.Table.Slots(), v.View)
	return group.Assess(v.Table.Profile, tally.Count(v.Lacking(s))).NeedsRepair()
}

// letIn takes a peer that has passed into the table, if the slot is still to be
// had. A holder that handed the slot over to it loses the slot.
func (t *auditTurn) letIn(j neighbours.AuditJob) {
	before := t.neighbours.Handed(t.group, j.Peer, j.Slot)
	v := t.neighbours.RollFor(t.group)
	if v != nil {
		v.Release(before, j.Slot)
	}
	if v == nil {
		return
	}
	switch t.answer(v, j.Peer, j.Slot) {
	case group.Welcome, group.Seated:
	case group.Occupied:
		t.neighbours.ProveBeside(t.group, j.Peer, j.Slot)
		return
	default:
		t.neighbours.Reject(t.group, j.Peer, j.Slot)
		return
	}
	t.neighbours.Prove(t.group, j.Peer, j.Slot)
	t.nominees.drop(place{t.group, j.Slot})
	if before != "" {
		t.neighbours.Lose(t.group, before, j.Slot, neighbours.LostHanded)
	}
	t.log.Info("a peer has proved a slot", "group", t.group.Prefix(), "slot", j.Slot, "peer", protocol.ShortPeer(j.Peer))
}

func unique(refs []protocol.ShardRef) []protocol.ShardRef {
	seen := make(map[protocol.ShardRef]struct{}, len(refs))
	out := refs[:0]
	for _, r := range refs {
		if _, again := seen[r]; !again {
			seen[r] = struct{}{}
			out = append(out, r)
		}
	}
	return out
}

// found is the outcome of an exchange for one shard.
type found struct {
	outcome audit.Outcome
	counts  bool // else it says nothing
}

// exchange challenges a holder and checks its proofs.
func (t *auditTurn) exchange(ctx context.Context, j neighbours.AuditJob, batch []protocol.ShardRef) []found {
	out := make([]found, len(batch))
	before := t.neighbours.Heard(j.Peer)
	a, err := t.challenge(ctx, j.Peer, batch)
	if err != nil {
		v := t.failed(ctx, j, err, before)
		for i := range out {
			out[i] = v
		}
		return out
	}
	for i, r := range batch {
		out[i] = t.check(j, r, a.Challenge, a.Results[i], a.Slices[i])
	}
	return out
}

func (t *auditTurn) challenge(ctx context.Context, to peer.ID, batch []protocol.ShardRef) (*protocol.Audited, error) {
	ctx, cancel := context.WithTimeout(ctx, auditTimeout)
	defer cancel()
	return t.caller.Audit(ctx, to, &protocol.AuditRequest{Group: t.group, Shards: batch}, t.entropy)
}

// failed judges an exchange that brought no proofs at all. A holder that does not
// answer a beat either is offline, and liveness judges it.
func (t *auditTurn) failed(ctx context.Context, j neighbours.AuditJob, err error, before uint32) found {
	var no *protocol.Error
	refused := errors.As(err, &no) && t.neighbours.Heard(j.Peer) != before
	t.log.Debug("a holder is not audited", "peer", protocol.ShortPeer(j.Peer), "group", t.group.Prefix(), "err", err)
	switch {
	case ctx.Err() != nil:
		return found{}
	case refused && no.Code == protocol.CodeNotFound:
		return found{audit.Missing, true}
	case refused && no.Code == protocol.CodeDisputed:
		t.neighbours.Ignored(t.group, j.Peer)
		return t.refused(j, no.Code)
	case refused:
		return t.refused(j, no.Code)
	}
	before = t.neighbours.Heard(j.Peer)
	t.beat(ctx, j.Peer)
	if t.neighbours.Heard(j.Peer) == before {
		return found{audit.Offline, true}
	}
	return found{audit.Slow, true}
}

// refused judges a refusal: by its code, until it has lasted for too long.
func (t *auditTurn) refused(j neighbours.AuditJob, code protocol.Code) found {
	if t.neighbours.Refusal(t.group, j.Peer, j.Slot, code) {
		return found{audit.Missing, true}
	}
	switch code {
	case protocol.CodeSuspended:
		return found{audit.Suspended, true}
	case protocol.CodeUnavailable:
		return found{audit.Offline, true}
	}
	return found{}
}

// check judges what a holder answered for one shard.
func (t *auditTurn) check(j neighbours.AuditJob, r protocol.ShardRef, c protocol.Challenge, code protocol.Code, slice []byte) found {
	switch code {
	case 0:
		if c.Check(r, t.known[r.Segment], slice) != nil {
			return found{audit.Corrupt, true}
		}
		return found{audit.OK, true}
	case protocol.CodeNotFound, protocol.CodeDeleted, protocol.CodeCorrupt:
		// If the owner deleted the segment, the next comparison of facts tells this
		// node, too: then the fault is dropped.
		switch {
		case t.neighbours.Lacked(t.group, j.Peer, j.Slot, r.Segment):
			return found{audit.Reported, j.Drawn || t.inNeed(r.Segment)}
		case code == protocol.CodeCorrupt:
			return found{audit.Corrupt, true}
		}
		return found{audit.Missing, true}
	}
	return t.refused(j, code)
}
