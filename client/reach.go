package client

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of bringing news to all members of a group.
const (
	reachNames  = 4                // members that are asked for other members
	reachSearch = 15 * time.Second // for a search, where too few known members answer
)

// news is what the members of a group are to know.
type news struct {
	facts []protocol.Fact
	told  []bool // by slot: its holder knows and is believed; reach adds to it
	heard func() // after each acknowledgement; nil: nobody listens

	// final says that the owner forgets the news once it is told: members are searched
	// for until enough that are believed acknowledge it. Other news is told again.
	final bool

	// deletes says that the news is of deletions: a holder that does not know the group
	// keeps nothing of it and counts as told. It counts for nothing in a renewal.
	deletes bool
}

// reached is a group that is being told some news.
type reached struct {
	*news
	c    *Client
	g    *ownGroup
	acks *acks
}

// reach brings news to the holder of every slot that is not yet believed to know it,
// notes in told the slots that now are, and reports whether enough acknowledge for
// the others to hear of it from them. It asks members for those that took slots
// meanwhile and that the owner does not know; where too few of all these answer, it
// looks for members as a reader does.
func (c *Client) reach(ctx context.Context, g *ownGroup, n *news) (enough bool) {
	r := &reached{news: n, c: c, g: g, acks: newAcks(g.holders(), n.told)}
	defer func() { copy(n.told, r.acks.told()) }()
	c.learnMembers(g)
	r.tellHolders(ctx)
	if allTold(r.acks.holders, r.acks.told()) {
		return true
	}
	r.tellNewcomers(ctx)
	if !r.satisfied() && ctx.Err() == nil {
		r.search(ctx)
	}
	return enoughTold(r.acks.said())
}

// satisfied reports whether no member need be searched for.
func (r *reached) satisfied() bool {
	if r.final {
		return enoughTold(r.acks.told())
	}
	return enoughTold(r.acks.said())
}

// enoughTold reports whether more than half of a group's slots know the news: then
// every second comparison brings a member that does not know it to one that does.
func enoughTold(told []bool) bool { return 2*countTrue(told) > len(told) }

func countTrue(list []bool) (n int) {
	for _, ok := range list {
		if ok {
			n++
		}
	}
	return n
}

// knownBy reports whether a holder that answered err knows the news.
func (n *news) knownBy(err error) bool {
	return err == nil || n.deletes && (errors.Is(err, protocol.ErrUnknown) || errors.Is(err, protocol.ErrNotFound))
}

// tellHolders tells the holders that the table names, all at the same time.
func (r *reached) tellHolders(ctx context.Context) {
	each(r.g.holders(), func(slot int, h peer.ID) {
		if h == "" || r.acks.told()[slot] {
			return
		}
		err := r.c.tell(ctx, r.g, h, r.facts)
		if r.knownBy(err) {
			r.note(h)
			return
		}
		r.c.log.Debug("member does not acknowledge", "group", r.g.id.Prefix(), "slot", slot, "err", err)
	})
}

// note counts a peer's yes.
func (r *reached) note(id peer.ID) {
	for range r.acks.yes(id) {
		if r.heard != nil {
			r.heard()
		}
	}
}

// tellNewcomers asks some of the table's holders that acknowledged who holds the
// other slots now, and tells those peers.
func (r *reached) tellNewcomers(ctx context.Context) {
	asked := 0
	for slot, h := range r.g.holders() {
		if h == "" || !r.acks.told()[slot] {
			continue
		}
		if asked++; asked > reachNames {
			return
		}
		fresh := r.acks.names(h, r.members(ctx, h))
		each(fresh, func(_ int, id peer.ID) {
			if err := r.c.tell(ctx, r.g, id, r.facts); err != nil {
				r.c.log.Debug("newcomer does not acknowledge", "group", r.g.id.Prefix(), "err", err)
				return
			}
			r.note(id)
		})
	}
}

// seat is a peer in a slot, as somebody says.
type seat struct {
	slot int
	peer peer.ID
}

// members returns the holders that a member names, itself among them.
func (r *reached) members(ctx context.Context, member peer.ID) (seats []seat) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	proof := protocol.SignList(r.g.ownerKey, r.g.networkName, r.g.id, r.c.net.Self())
	m, err := r.c.call.Members(ctx, member, &protocol.MembersRequest{Group: r.g.id, Proof: proof})
	if err != nil {
		return nil
	}
	for _, v := range m.Members {
		if rec, err := r.c.opened.Open(v.Envelope); err == nil && v.Slot < r.g.profile.N {
			r.c.net.Learn(rec.Info())
			seats = append(seats, seat{v.Slot, rec.Peer})
		}
	}
	return seats
}

// search looks for members and tells each that it finds, until that suffices.
func (r *reached) search(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reachSearch)
	defer cancel()
	var s *search
	s = r.c.newSearch(r.g.id.Prefix(), func(ctx context.Context, id peer.ID) error {
		if !r.acks.wants(id) {
			return nil
		}
		if err := r.c.tell(ctx, r.g, id, r.facts); err != nil {
			return err
		}
		if r.g.table.SlotOf(id) < 0 {
			r.acks.names(id, r.members(ctx, id))
		}
		r.note(id)
		if r.satisfied() {
			s.stop()
		}
		return nil
	})
	s.run(ctx, nil)
}
