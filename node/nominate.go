package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

const (
	// askTimeout is how long a peer has to answer a small question.
	askTimeout = 15 * time.Second
	// asksAtOnce bounds the small questions under way for one purpose.
	asksAtOnce = 8
)

// Nominate hears that this node was drawn for a vacant slot, or that another
// was.
func (n *Node) Nominate(ctx context.Context, from protocol.Remote, r *protocol.NominateRequest) (*protocol.NominateReply, error) {
	if len(r.Candidate) == 0 {
		return n.becomeCandidate(ctx, from, r)
	}
	return n.hearCandidate(from, r)
}

// becomeCandidate reserves what a slot takes and makes ready to receive its
// shards. The drawer's word that the slot is vacant is enough: members check it
// before they put anything.
func (n *Node) becomeCandidate(ctx context.Context, from protocol.Remote, r *protocol.NominateRequest) (*protocol.NominateReply, error) {
	record, id, err := protocol.ParseGroupRecord(n.cfg.Network, r.Record)
	if err != nil {
		return nil, err
	}
	table, err := protocol.OpenTable(record, id, r.Table)
	switch {
	case err != nil:
		return nil, err
	case id != r.Group || r.Slot >= table.Profile.N:
		return nil, protocol.Refuse(protocol.CodeMalformed, "slot %d of group %s", r.Slot, r.Group.Prefix())
	case r.Bytes > n.cfg.Donated:
		return nil, protocol.Refuse(protocol.CodeFull, "%d bytes are donated here", n.cfg.Donated)
	}
	if err := n.admits(); err != nil {
		return nil, err
	}
	if err := n.deal.may(contract.Deed{Kind: contract.NewGroup, Class: contract.Repair, Bytes: r.Bytes}, n.now()); err != nil {
		return nil, err
	}
	env, err := n.cfg.Net.Envelope()
	if err != nil {
		return nil, err
	}
	until, err := n.quota.ReserveFor(n.cfg.Timing.NomineeFor, id, quota.SourceOf(from), n.promised(id, table.Profile, r.Bytes), n.storeFree(), n.now())
	if err != nil {
		return nil, err
	}
	if err := n.takeSlot(ctx, from, id, r.Slot, r.Record, r.Table); err != nil {
		return nil, err
	}
	n.log.Info("nominated for a slot", "group", id.Prefix(), "slot", r.Slot)
	return &protocol.NominateReply{Envelope: env, Until: until.Unix()}, nil
}

// hearCandidate notes the candidate that a member drew for a slot. This node, too,
// must see the slot vacant, or get no answer from its holder either: it may find that
// holder gone a little later than the drawer did, and would then draw another.
func (n *Node) hearCandidate(from protocol.Remote, r *protocol.NominateRequest) (*protocol.NominateReply, error) {
	v := n.neighbours.RollFor(r.Group)
	if v == nil {
		return nil, protocol.Refuse(protocol.CodeNotFound, "group %s is not held", r.Group.Prefix())
	}
	if !n.neighbours.IsMember(r.Group, from.Peer) {
		return nil, protocol.Refuse(protocol.CodeDisputed, "you are no member of group %s here", r.Group.Prefix())
	}
	byTurn, may := n.turnToDraw(v, from.Peer, r.Slot)
	if !may {
		return nil, protocol.Refuse(protocol.CodeDisputed, "slot %d is another's to draw for", r.Slot)
	}
	rec, err := r.Candidate.Open()
	if err != nil {
		return nil, err
	}
	n.cfg.Net.Learn(rec.Info())
	if a := n.answer(v, rec.Peer, r.Slot); a != group.Occupied || !v.Silent(r.Slot) {
		if err := refusal(v, r.Slot, a); err != nil {
			return nil, err
		}
	}
	if !n.nameCandidate(place{r.Group, r.Slot}, nominee{peer: rec.Peer, envelope: r.Candidate, byTurn: byTurn, by: from.Peer}, crowdBy(from)) {
		return nil, protocol.Refuse(protocol.CodeDisputed, "another is named for slot %d, or this one for another", r.Slot)
	}
	return new(protocol.NominateReply), nil
}

// turnToDraw tells whether it is a member's turn to draw for a slot, or was at
// the turn before, by this node's view of the others (is), and whether it may be by
// that member's view (may). A member that could name candidates out of turn could
// name its own for every slot, again and again, before the drawer does.
func (n *Node) turnToDraw(v *neighbours.Roll, id peer.ID, slot int) (is, may bool) {
	day, domains, asker := n.cfg.Timing.RepairDay, v.Table.DomainKeys(), v.Table.Find(id)
	if asker < 0 {
		return false, false
	}
	for _, ago := range [...]time.Duration{0, day / 4} {
		turn := group.DayAt(v.ID, day, n.now().Add(-ago))
		is = is || group.Drawer(v.ID, slot, turn, v.Keys, domains, v.Living) == asker
		may = may || group.PlausibleDrawer(v.ID, slot, turn, domains, v.Living, asker)
	}
	return is, is || may
}

// nameCandidate notes a candidate for its day from now on.
func (n *Node) nameCandidate(p place, v nominee, by ...crowd) bool {
	now := n.neighbours.Now()
	v.until = now + n.cfg.Timing.NomineeFor
	if !n.nominees.name(p, v, now, by...) {
		return false
	}
	n.repairSoon()
	return true
}

// answer tells whether a peer could take a slot, as this node sees it.
func (n *Node) answer(v *neighbours.Roll, id peer.ID, slot int) group.Answer {
	x := group.Seat{Slot: uint8(slot), Peer: id, Key: group.KeyOf(id), Domain: n.domainOf(id)}
	calm, pressed := v.Table.MayEnter(x, v.View, false), v.Table.MayEnter(x, v.View, true)
	if calm != pressed && n.neighbours.IsUrgent(v) {
		return pressed
	}
	return calm
}

// refusal is what a peer that asks for a slot is told; nil: it may have it.
func refusal(v *neighbours.Roll, slot int, a group.Answer) error {
	switch a {
	case group.Welcome, group.Seated:
		return nil
	case group.NoSlot:
		return protocol.Refuse(protocol.CodeMalformed, "slot %d of %d", slot, v.Table.Profile.N)
	case group.Elsewhere:
		return protocol.Refuse(protocol.CodeWrongSlot, "it holds another slot")
	case group.Crowded:
		return protocol.Refuse(protocol.CodeCapped, "its failure domain holds as many slots as it may")
	default:
		return protocol.Refuse(protocol.CodeDisputed, "slot %d is %s", slot, a)
	}
}

// domainOf returns the failure domain of a peer by the address at which it is
// seen; zero: it is not connected.
func (n *Node) domainOf(id peer.ID) group.Domain {
	private := n.neighbours.IsPrivate()
	c := n.candidate(id)
	if !private && !c.Addr.IsValid() && c.Relay == "" {
		return group.Domain{}
	}
	return c.Domain(private)
}

func (n *Node) candidate(id peer.ID) group.Candidate {
	c := group.Candidate{Peer: id}
	if addr, relayed, ok := n.cfg.Net.RemoteAddr(id); ok && addr != nil {
		at, relay := group.Observed(addr)
		c.Addr = at
		if relayed {
			c.Relay = relay
		}
	}
	return c
}
