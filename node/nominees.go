package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// nominees are the candidates that drawers named to this node: one a slot, for
// a day or until it has entered. They are no members; repairers put shards to
// them. They are not kept over a restart: another is drawn then.
type nominees struct {
	mu sync.Mutex
	m  map[place]nominee
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
	byTurn   bool          // the drawer named it as this node sees turns; else it may be another's yet
}

// maxNominees bounds the candidates that are remembered.
const maxNominees = 1 << 14

func newNominees() *nominees { return &nominees{m: make(map[place]nominee)} }

// name notes a candidate, unless one is named at its slot already: whom the
// drawer named gives way to nobody, and makes way for itself. To be named again
// puts the end of a candidate's day off no further. It reports whether the
// candidate is the one that counts.
func (l *nominees) name(p place, v nominee, now time.Duration) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.m[p]; ok && now < old.until {
		if old.peer == v.peer {
			old.byTurn = old.byTurn || v.byTurn
			v = old
		} else if old.byTurn || !v.byTurn {
			return false
		}
		l.m[p] = v
		return true
	}
	if len(l.m) >= maxNominees {
		for at, old := range l.m {
			if now >= old.until {
				delete(l.m, at)
			}
		}
		if len(l.m) >= maxNominees {
			return false
		}
	}
	l.m[p] = v
	return true
}

// at returns the candidate of a slot.
func (l *nominees) at(p place, now time.Duration) (nominee, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.m[p]
	return v, ok && now < v.until
}

// has reports whether a peer is a candidate in a group.
func (l *nominees) has(g protocol.GroupID, id peer.ID, slots int, now time.Duration) bool {
	for slot := range slots {
		if v, ok := l.at(place{g, slot}, now); ok && v.peer == id {
			return true
		}
	}
	return false
}

// drop forgets a slot's candidate: it has entered, or does not take shards.
func (l *nominees) drop(p place) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.m, p)
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
	v := n.neighbours.Roll(id)
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

// leaveVain forgets groups for one of whose slots this node was nominated, and
// that brought it nothing for twice the time for which a candidate counts, or
// that let nobody in for as long as a holder is waited for: another came first,
// or a holder came back. As long as it keeps the group it asks the members to let
// it in, and can be drawn for no other slot.
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
