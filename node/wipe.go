package node

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// wipe frees at most room shards and facts of a group, and tells how many, and
// whether that was all. Its order makes a crash at any point harmless: first the
// shards, then the facts; last of these come renewal, table and record, the note of
// when the group came here, which the lease depends on, and the note of the handing.
// The group's turn is taken.
func (n *Node) wipe(ctx context.Context, g *truth.Group, room int) (freed int, all bool, err error) {
	id := g.ID
	n.groups.Forget(g) // from here on it is not what the store has
	for sh, err := range n.store.Shards(ctx, id) {
		if err != nil {
			return freed, false, err
		}
		if freed >= room {
			return freed, false, nil
		}
		if err := n.store.DeleteShard(ctx, sh.Key); err != nil {
			return freed, false, err
		}
		n.frees.remove(kin{id, sh.Key.Segment})
		n.shardMended(ctx, id, sh.Key)
		freed++
	}
	more, all, err := n.wipeFacts(ctx, id, room-freed)
	if freed += more; !all || err != nil {
		return freed, false, err
	}
	n.dropGroup(id)
	// Notes of what was known of it may have been on their way; none are taken
	// from here on.
	more, all, err = n.wipeFacts(ctx, id, room)
	return freed + more, all, err
}

func (n *Node) wipeFacts(ctx context.Context, id protocol.GroupID, room int) (freed int, all bool, err error) {
	infos, err := n.lastFacts(ctx, id)
	if err != nil {
		return 0, false, err
	}
	for _, f := range infos {
		if freed >= room {
			return freed, false, nil
		}
		if err := n.store.DeleteFact(ctx, id, f.ID); err != nil {
			return freed, false, err
		}
		freed++
	}
	return freed, true, nil
}

// lastFacts lists a group's facts and notes in the order in which they go.
func (n *Node) lastFacts(ctx context.Context, id protocol.GroupID) ([]storage.FactInfo, error) {
	var out []storage.FactInfo
	for f, err := range n.store.FactInfos(ctx, id) {
		if err != nil && !n.damaged(id, err) {
			return nil, err
		}
		out = append(out, f)
	}
	slices.SortStableFunc(out, func(a, b storage.FactInfo) int { return lastRank(a.Kind) - lastRank(b.Kind) })
	return out, nil
}

// lastRank orders a group's facts by how late they go when it is freed.
func lastRank(kind uint8) int {
	switch kind {
	case uint8(protocol.FactRenewal):
		return 1
	case uint8(protocol.FactTable), note.Nominated:
		return 2
	case uint8(protocol.FactRecord):
		return 3
	case note.Origin:
		return 4
	case note.Handing:
		return 5
	}
	return 0
}

// dropGroup forgets a group of which nothing is held any more.
func (n *Node) dropGroup(id protocol.GroupID) {
	n.leases.forget(id)
	n.neighbours.Close(id)
	n.entering.drop(id)
	n.handovers.drop(id)
	n.handings.drop(id)
	n.verdicts.dropGroup(id)
	n.quota.Unfound(id)
	n.announce.drop(id)
}

// leaveRest frees what is left of a group without record or table, if there are no
// shards: it is of use to nobody.
func (s *succession) leaveRest(ctx context.Context, id protocol.GroupID, h *handing) error {
	for _, err := range s.store.Shards(ctx, id) {
		return cmp.Or(err, errTableOf) // err: a folder is missing
	}
	return s.leaveGroup(ctx, id, h)
}

// leaveGroup frees what is kept of a group whose slot another holds now. Facts
// that came until the last moment go with it: from then on none are taken.
func (s *succession) leaveGroup(ctx context.Context, id protocol.GroupID, h *handing) error {
	g, release, err := s.groups.OpenTurn(ctx, id)
	if err != nil {
		return s.hideStore("open group", err)
	}
	defer release()
	if g.Takes() {
		return errUnderWay
	}
	if g.IsFounded() {
		if err := s.lastWord(ctx, g, h.successor()); err != nil {
			return err
		}
	}
	_, all, err := s.wipe(ctx, g, math.MaxInt)
	if err == nil && !all {
		err = errUnderWay
	}
	if err == nil {
		s.log.Info("handed a slot over", "group", id.Prefix(), "peer", protocol.ShortPeer(h.successor()))
	}
	return err
}

// lastWord offers all facts of a group to its successor, or to a member.
func (s *succession) lastWord(ctx context.Context, g *truth.Group, successor peer.ID) error {
	to := s.comembers(g.ID, true)
	if successor != "" {
		to = slices.Insert(to, 0, successor)
	}
	err := errors.New("nobody is there to take the group's facts")
	for _, id := range to {
		if err = s.offerFacts(ctx, &conversation{compareSlack}, g, id, g.OwnersFacts()); err == nil || ctx.Err() != nil {
			return err
		}
	}
	if findable, _ := g.GrantedNow(); len(to) == 0 && !findable {
		return nil // it is an empty group that nobody else has
	}
	return err
}
