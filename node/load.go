package node

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// loadGroup makes a group's state from the store. A group that is not held
// gives an empty state. Facts that no longer count, left over from a crash
// between keeping a newer one and dropping them, are dropped now.
//
// While one folder of several is missing, a group whose record and table lie in
// another one is served from there; what the missing one has of it comes back
// with it, or from the co-members.
func (n *Node) loadGroup(ctx context.Context, id protocol.GroupID) (*truth.Group, error) {
	g := truth.New(id, n.cfg.Timing.Lease.Ahead, func(p peer.ID) bool { return n.neighbours.IsMember(id, p) })
	var facts []protocol.Fact
	var missing error
	for f, err := range n.store.Facts(ctx, id) {
		switch {
		case n.damaged(id, err):
		case err != nil:
			missing = errors.Join(missing, err)
		case f.Kind == note.Nominated:
			g.Nominate(parseNomination(f.Bytes))
		case !note.Is(f.Kind):
			facts = append(facts, fromStore(f))
		}
	}
	slices.SortStableFunc(facts, func(a, b protocol.Fact) int { return truth.Rank(a.Kind) - truth.Rank(b.Kind) })
	stale := n.mergeStored(g, facts)
	for s, err := range n.store.Shards(ctx, id) {
		if err != nil {
			missing = errors.Join(missing, err)
			continue
		}
		g.Found(s.Key, n.scrub.isDamaged(s.Key))
	}
	if missing != nil && !(n.elsewhere(missing) && g.IsFounded()) {
		return nil, fmt.Errorf("load group %s: %w", id.Prefix(), missing)
	}
	g.Partial = missing != nil
	n.dropFacts(ctx, id, stale)
	return g, nil
}

// elsewhere reports whether err is about one folder of several, of which
// another one works: what lies there is served.
func (n *Node) elsewhere(err error) bool {
	away := errors.Is(err, storage.ErrSuspended) || errors.Is(err, storage.ErrFailed) || errors.Is(err, storage.ErrClosed)
	return away && n.store.Usage().Err == nil
}

// damaged reports whether err is about one damaged fact. The other facts of its
// group are read all the same: the owner or the co-members have this one, too.
func (n *Node) damaged(g protocol.GroupID, err error) bool {
	if !errors.Is(err, storage.ErrCorrupt) {
		return false
	}
	n.log.Warn("a stored fact is damaged", "group", g.Prefix(), "err", err)
	return true
}

// mergeStored merges facts that were verified before they were stored, and
// returns the names of those that no longer count.
func (n *Node) mergeStored(g *truth.Group, facts []protocol.Fact) (stale []protocol.Hash) {
	now := n.now()
	for _, f := range facts {
		o, err := openStored(n.cfg.Network, f)
		if err != nil {
			n.log.Warn("a stored fact cannot be read", "group", g.ID.Prefix(), "kind", f.Kind, "err", err)
			continue
		}
		if o.Renewal != nil {
			// It was in time when it was stored; a clock set back since
			// must not drop it.
			o.Renewal.At = min(o.Renewal.At, now.Add(n.cfg.Timing.Lease.Ahead).Unix())
		}
		m := g.MergeStored(f, o, n.self, now)
		stale = append(stale, m.Drops...)
		if !m.Kept && m.Code == 0 || m.Code == protocol.CodeDeleted {
			stale = append(stale, f.ID())
		}
	}
	return stale
}

// dropFacts removes facts that no longer count. One that stays, because the
// store fails, is dropped by the next load.
func (n *Node) dropFacts(ctx context.Context, g protocol.GroupID, ids []protocol.Hash) {
	for _, id := range ids {
		err := n.store.DeleteFact(ctx, g, id)
		if errors.Is(err, storage.ErrSuspended) {
			return
		}
		if err != nil {
			n.log.Warn("a superseded fact stays on disk", "group", g.Prefix(), "err", err)
			return
		}
	}
}

// survey reads what the store holds once, at the start: what each group takes
// and which source it is charged to, what waits to be freed, what is to be announced.
func (n *Node) survey(ctx context.Context) error {
	for id, err := range n.store.Groups(ctx) {
		if err != nil && n.elsewhere(err) {
			n.log.Warn("a folder is missing; what it holds is surveyed when it is back", "err", err)
			continue
		}
		if err != nil {
			return fmt.Errorf("survey the store: %w", err)
		}
		if err := n.surveyGroup(ctx, id); err != nil {
			return fmt.Errorf("survey group %s: %w", id.Prefix(), err)
		}
	}
	n.neighbours.Resume(n.rand.float)
	return nil
}

func (n *Node) surveyGroup(ctx context.Context, id protocol.GroupID) error {
	now := n.now()
	s := groupSurvey{seen: now.Unix(), nominated: -1, deleted: make(map[protocol.SegmentID]bool)}
	for info, err := range n.store.FactInfos(ctx, id) {
		if err == nil {
			err = n.surveyFact(ctx, &s, info)
		}
		if err != nil && !n.damaged(id, err) && !n.elsewhere(err) {
			return err
		}
	}
	size := 1
	if s.table != nil {
		size = s.table.Profile.N
	}
	for sh, err := range n.store.Shards(ctx, id) {
		if err != nil && n.elsewhere(err) {
			continue
		}
		if err != nil {
			return err
		}
		s.used += shardCost(sh.Size, size)
		if !s.deleted[sh.Key.Segment] {
			s.view.Held++
		}
		if s.deleted[sh.Key.Segment] && !n.frees.has(kin{id, sh.Key.Segment}) {
			// The delete outlived a crash, its note did not.
			if err := n.freeLater(ctx, id, sh.Key.Segment); err != nil {
				return err
			}
		}
	}
	n.quota.Open(id, s.from, unix(s.seen), s.used, now)
	n.leases.begin(id, unix(s.seen), s.table != nil && s.table.SlotOf(n.self) < 0, s.renewed, now)
	if s.table != nil {
		s.view.Spread = n.rand.float()
		n.neighbours.Open(id, s.table, s.ownSlot(n.self), &s.view)
		n.reannounce(id)
	}
	return nil
}

// openSeats makes known the seats of a group that was founded here since the start.
func (n *Node) openSeats(g *truth.Group) {
	_, table, err := g.Founded()
	if err != nil {
		return
	}
	n.neighbours.Open(g.ID, table, g.OwnSlot(), &neighbours.Survey{Spread: n.rand.float()})
}

// admit makes room for bytes of a group on their way to the store. A group
// without an account, on a disk that came back since the start, is surveyed. A
// disk that is missing or failed is not a full one: it may be back soon.
func (n *Node) admit(ctx context.Context, g protocol.GroupID, bytes int64) (*quota.Admission, error) {
	if err := storeRefusal(n.store.Usage().Err); err != nil {
		return nil, err
	}
	if !n.quota.Has(g) {
		if err := n.surveyGroup(ctx, g); err != nil {
			return nil, n.hideStore("survey group", err)
		}
	}
	return n.quota.Admit(g, bytes, n.storeFree(), n.now())
}

// groupSurvey gathers what surveyGroup reads.
type groupSurvey struct {
	from      quota.Source
	seen      int64
	used      int64
	table     *protocol.Table
	renewed   int64 // date of the newest renewal; 0: none
	nominated int   // -1: for no slot
	view      neighbours.Survey
	deleted   map[protocol.SegmentID]bool
}

// ownSlot returns this node's slot by table or by nomination; -1: it has none.
func (s *groupSurvey) ownSlot(self peer.ID) int {
	if slot := s.table.SlotOf(self); slot >= 0 || s.nominated >= len(s.table.Slots) {
		return slot
	}
	return s.nominated
}

// surveyFact takes a fact into the survey. Grants, which are nearly all that a
// full node has, are counted and not read: each would cost a disk a seek.
func (n *Node) surveyFact(ctx context.Context, s *groupSurvey, info storage.FactInfo) error {
	s.used += factCost(int(info.Size))
	switch info.Kind {
	case uint8(protocol.FactGrant):
		s.view.Granted = true
	case note.Origin, note.Deleted, note.Nominated, note.Seats, note.Lists, note.Standings, note.Handover, note.Handing, note.False,
		uint8(protocol.FactTable), uint8(protocol.FactDelete), uint8(protocol.FactRenewal):
		f, err := n.store.Fact(ctx, info.Group, info.ID)
		if errors.Is(err, storage.ErrNotFound) {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		n.surveyBytes(s, f)
	}
	return nil
}

// surveyBytes takes what a fact says into the survey.
func (n *Node) surveyBytes(s *groupSurvey, f storage.Fact) {
	switch f.Kind {
	case note.Origin:
		var o origin
		if err := protocol.Decode("note", f.Bytes, &o); err == nil {
			s.from, s.seen = quota.ParseSource(o.From), o.Seen
		}
	case note.Deleted:
		var d deletion
		if err := protocol.Decode("note", f.Bytes, &d); err == nil {
			n.frees.add(kin{f.Group, d.Segment}, freeing{unix(d.Since).Add(n.cfg.Timing.DeleteDelay), f.ID()})
		}
	case note.Nominated:
		s.nominated, _, _ = parseNomination(f.Bytes)
	case note.Seats, note.Lists, note.Standings:
		s.view.Take(f)
	case note.Handover:
		n.handovers.restore(f)
	case note.Handing:
		n.handings.restore(f)
	case note.False:
		n.verdicts.restore(f)
	case uint8(protocol.FactTable):
		if o, err := openStored(n.cfg.Network, fromStore(f)); err == nil {
			s.table = o.Table
		}
	case uint8(protocol.FactRenewal):
		if o, err := openStored(n.cfg.Network, fromStore(f)); err == nil {
			s.renewed = max(s.renewed, o.Renewal.At)
		}
	case uint8(protocol.FactDelete):
		o, err := openStored(n.cfg.Network, fromStore(f))
		if err == nil && len(o.Delete.Subject) == len(protocol.SegmentID{}) {
			s.deleted[protocol.SegmentID(o.Delete.Subject)] = true
		}
	}
}

// Rough costs, in bytes, by which groups are charged; the store's own quota
// counts exactly.
const (
	recordCost     = 128 // of one record of a store's log
	descriptorBase = 256
	rootSize       = 34 // of one root in a descriptor
)

func shardCost(size int64, n int) int64 {
	return recordCost + size + protocol.OutboardSize(size) + descriptorBase + rootSize*int64(n)
}

func factCost(size int) int64 { return recordCost + int64(size) }

// dropCost is what the facts that a merge drops were charged.
func dropCost(m truth.Merged) int64 { return recordCost*int64(len(m.Drops)) + m.Freed }

// noteCost is factCost of a note that may be missing: then it has no bytes.
func noteCost(size int) int64 {
	if size == 0 {
		return 0
	}
	return factCost(size)
}
