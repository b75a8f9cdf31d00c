package node

import (
	"context"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/fair"
	"github.com/cairnstore/cairn/protocol"
)

// nominees are the candidates that drawers named to this node: one a slot, for a day
// or until it has entered. They are no members; repairers put shards to
// them. They are not kept over a restart: another is drawn then.
type nominees struct {
	mu sync.Mutex
	t  *fair.Table[place, crowd, *nominee]
}

// place is a slot of a group.
type place struct {
	group protocol.GroupID
	slot  int
}

type nominee struct {
	peer     peer.ID
	envelope protocol.Envelope
	until    time.Duration // by neighbours' watch
	byTurn   bool          // the drawer named it, as this node sees turns; else the drawer's may replace it
	by       peer.ID       // who named it
}

// maxNominees bounds the candidates that are remembered; beyond it those of the most
// crowded give way.
const maxNominees = 1 << 14

func newNominees() *nominees {
	return &nominees{t: fair.NewTable[place, crowd, *nominee](maxNominees, fair.Newest, nil)}
}

// name notes a candidate, unless another is named at its slot already, or it is named
// at another slot of the group. But a candidate that the drawer named (byTurn) gives
// way to none, takes a slot from one that the drawer did not name, and leaves a slot
// at which the drawer did not name it. Named for two slots by their two
// drawers, it stays at both. Naming a candidate again does not extend its day. The
// entry counts for the group, and for the crowd of the peer that named it. name
// reports whether the candidate is one that counts at the slot.
func (l *nominees) name(p place, v nominee, now time.Duration, by ...crowd) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(now)
	here, _ := l.t.Get(p)
	if here != nil && here.peer == v.peer && now < here.until {
		if v.byTurn && !here.byTurn {
			here.byTurn, here.by = true, v.by
		}
		return true
	}
	if !here.yields(v, now) {
		return false
	}
	var left []place
	for at, same := range l.named(p.group, v.peer, now) {
		if same.yields(v, now) {
			left = append(left, at)
		} else if !same.staysBeside(v) {
			return false
		}
	}
	for _, at := range left {
		l.t.Delete(at)
	}
	return l.t.Put(p, &v, append([]crowd{{group: p.group}}, by...)...)
}

// yields reports whether a candidate makes way for another; nil stands for none.
func (v *nominee) yields(to nominee, now time.Duration) bool {
	return v == nil || now >= v.until || to.byTurn && !v.byTurn
}

// staysBeside reports whether a candidate stays named when another drawer, whose turn
// it is as well, names the same peer for another slot. One of the two may never have
// asked the peer, and must not keep the other from naming it; the peer refuses the
// shards of a slot that it did not accept. But each drawer names it once: a
// member cannot fill all slots with one peer.
func (v *nominee) staysBeside(to nominee) bool { return v.byTurn && to.byTurn && v.by != to.by }

// expire forgets candidates whose day is over. mu is held.
func (l *nominees) expire(now time.Duration) {
	for p, v := range l.t.All() {
		if now < v.until {
			return
		}
		l.t.Delete(p)
	}
}

// named returns the places that a peer is named for in a group. mu is held.
func (l *nominees) named(g protocol.GroupID, id peer.ID, now time.Duration) iter.Seq2[place, *nominee] {
	return func(yield func(place, *nominee) bool) {
		for p, v := range l.t.In(crowd{group: g}) {
			if v.peer == id && now < v.until && !yield(p, v) {
				return
			}
		}
	}
}

// at returns the candidate of a slot.
func (l *nominees) at(p place, now time.Duration) (nominee, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v, ok := l.t.Get(p); ok && now < v.until {
		return *v, true
	}
	return nominee{}, false
}

// has reports whether a peer is a candidate in a group.
func (l *nominees) has(g protocol.GroupID, id peer.ID, now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for range l.named(g, id, now) {
		return true
	}
	return false
}

// drop forgets a slot's candidate: it has entered, or does not take shards.
func (l *nominees) drop(p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.t.Delete(p)
}

// takeSlot makes this node, which was nominated for a slot, ready to receive
// its shards: record, table and nomination become durable. It refuses with
// CodeWrongSlot where it holds another slot of the group, and otherwise as Facts
// does for a group that is new here.
func (n *Node) takeSlot(ctx context.Context, from protocol.Remote, id protocol.GroupID, slot int, record, table []byte) error {
	g, release, err := n.groups.OpenTurn(ctx, id)
	if err != nil {
		return n.hideStore("open group", err)
	}
	defer release()
	switch own := g.OwnSlot(); {
	case own == slot:
		return nil
	case own >= 0:
		return protocol.Refuse(protocol.CodeWrongSlot, "this node holds slot %d", own)
	}
	nt, err := nominationNote(id, slot, from.Peer, n.now())
	if err != nil {
		return err
	}
	g.Nominate(slot, from.Peer, n.now())
	codes, err := n.keepWith(ctx, from, g, []protocol.Fact{{Kind: protocol.FactRecord, Bytes: record}, {Kind: protocol.FactTable, Bytes: table}}, nt)
	if err != nil {
		g.Nominate(-1, "", time.Time{})
		return err
	}
	for _, c := range codes {
		if c != 0 {
			n.groups.Forget(g)
			return protocol.Refuse(c, "record or table of group %s", id.Prefix())
		}
	}
	return nil
}

// turnedAway reports whether this node got shards for a slot for nothing: most of
// the members that live see another in it, and none takes this node for a holder.
func (n *Node) turnedAway(id protocol.GroupID) bool {
	if !n.entering.refused(id) {
		return false
	}
	v := n.neighbours.RollFor(id)
	if v == nil || v.Knows > 0 {
		return false
	}
	var living []peer.ID
	for i := range v.Table.Held {
		if i != v.Self && v.Living.Has(i) {
			living = append(living, v.Table.Held[i].Peer)
		}
	}
	return len(living) >= v.Table.Profile.K && 2*n.entering.refusals(id, living) > len(living)
}

// leaveVain forgets groups in which this node was nominated for a slot in vain: it got
// nothing within twice NomineeFor, or is turned away, GoneAfter or longer after the
// nomination. Then another came first, or a holder came back. As long as this node
// keeps such a group it asks the members to let it in, and cannot be drawn for another
// slot of it.
func (n *Node) leaveVain(ctx context.Context) error {
	nothing := n.now().Add(-2 * n.cfg.Timing.NomineeFor)
	nobody := n.now().Add(-n.cfg.Timing.Liveness.GoneAfter)
	for _, id := range n.neighbours.Guests() {
		g, release, err := n.groups.OpenTurn(ctx, id)
		if err != nil {
			return n.hideStore("open group", err)
		}
		if n.handovers.of(id) == nil && (g.CameInVain(nothing) || g.NominatedBefore(nobody) && n.turnedAway(id)) {
			n.log.Info("another has the slot: the group is forgotten", "group", id.Prefix(), "slot", g.OwnSlot())
			_, _, err = n.wipe(ctx, g, expireStep)
		}
		release()
		if err != nil {
			return fmt.Errorf("forget group %s: %w", id.Prefix(), err)
		}
	}
	return nil
}
