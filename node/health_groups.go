package node

import (
	"context"
	"fmt"
	"strings"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// GroupHealth is the safety gauge of one group that a node shares, by what
// this node saw itself: answers and audits. Numbers of slots are of the lowest
// segment.
type GroupHealth struct {
	Group       string       `json:"group"` // prefix
	K           int          `json:"k"`
	R           int          `json:"r"`
	N           int          `json:"n"`
	Slot        int          `json:"slot"`  // this node's
	Lease       string       `json:"lease"` // alive, frozen or expired
	State       string       `json:"state"` // of the segment that needs most: StateWell and others
	Segments    int          `json:"segments"`
	States      States       `json:"states"`
	Proved      int          `json:"proved"`      // slots whose holders passed an audit of this node's lately, its own among them
	Unproved    int          `json:"unproved"`    // slots that may hold it as well
	Answering   int          `json:"answering"`   // of both, slots with a holder that answers
	Needed      int          `json:"needed"`      // slots that give it back
	Readable    bool         `json:"readable"`    // as many answer
	Reachable   int          `json:"reachable"`   // slots proved that answer
	Domains     int          `json:"domains"`     // failure domains that these span
	AfterWorst5 int          `json:"afterWorst5"` // of these, slots left when the five domains with most of them leave
	Holders     []SlotHolder `json:"holders"`     // by slot; of a list of groups, empty
}

// SlotHolder is one holder of a slot, or none.
type SlotHolder struct {
	Slot   int    `json:"slot"`
	Peer   string `json:"peer"` // empty: the slot is vacant
	Self   bool   `json:"self"`
	Drawn  bool   `json:"drawn"`  // by the owner; else it came by proof
	State  string `json:"state"`  // present, absent, away, suspended or gone
	Proved bool   `json:"proved"` // an audit of this node's succeeded lately
	Failed int    `json:"failed"` // segments that it failed to prove
	Domain string `json:"domain"`
	// What it says of itself counts only against itself.
	Lacks    int  `json:"lacks"` // segments that it says it lacks; of this node, as its disk shows
	Draining bool `json:"draining"`
}

// GroupsHealth is a list of groups.
type GroupsHealth struct {
	CutOff bool          `json:"cutOff"` // most neighbours do not answer: this node may be the one that is cut off
	Groups []GroupHealth `json:"groups"`
	More   string        `json:"more"` // ask again for those after this one; empty: that was all
}

// HealthQuery says which groups are asked for.
type HealthQuery struct {
	Prefix  string `json:"prefix"`  // their IDs begin so, in lower-case hexadecimal digits; empty: all
	After   string `json:"after"`   // only those after this one; empty: from the first on
	Holders bool   `json:"holders"` // with their holders
}

// How many groups one reply tells of.
const (
	groupsAPage  = 1000
	holdersAPage = 16 // with holders
)

// GroupsHealth tells how the groups are that this node shares, in order of their
// IDs: at most as many as keep a reply below half a megabyte. Groups whose leases
// have ended are not among them.
func (n *Node) GroupsHealth(ctx context.Context, q HealthQuery) (*GroupsHealth, error) {
	most := groupsAPage
	if q.Holders {
		most = holdersAPage
	}
	out := &GroupsHealth{CutOff: n.neighbours.CutOff(), Groups: []GroupHealth{}}
	for _, id := range n.neighbours.IDs() {
		if !strings.HasPrefix(id.String(), q.Prefix) || id.Prefix().String() <= q.After {
			continue
		}
		if len(out.Groups) == most {
			out.More = out.Groups[most-1].Group
			break
		}
		g, err := n.groupHealth(ctx, id, q.Holders)
		if err != nil {
			return nil, fmt.Errorf("health of group %s: %w", id.Prefix(), err)
		}
		if g != nil {
			out.Groups = append(out.Groups, *g)
		}
	}
	return out, nil
}

// groupHealth tells how one group is; nil: it is not, or no longer, held here.
func (n *Node) groupHealth(ctx context.Context, id protocol.GroupID, holders bool) (*GroupHealth, error) {
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	granted, lacked := g.GrantedSegments()
	if !g.Partial {
		n.neighbours.LackOwn(id, lacked)
	}
	v, lease := n.neighbours.Roll(id), n.leases.state(id, n.now())
	if v == nil || lease == group.Expired {
		return nil, nil
	}
	for _, s := range lacked { // also those for which the node has no room to remember them
		v.Lacks(s, v.Self)
	}
	w := n.weighing(v)
	states, lowest := w.survey(len(granted), granted)
	p, c := v.Table.Profile, lowest.count
	out := &GroupHealth{
		Group: id.Prefix().String(), K: p.K, R: p.R, N: p.N, Slot: int(v.Table.Held[v.Self].Slot), Lease: lease.String(),
		State: states.Worst(), Segments: len(granted), States: states,
		Proved: c.Holding, Unproved: c.Unaudited, Answering: c.Answering, Needed: p.K, Holders: []SlotHolder{},
		Readable: len(granted) == 0 || c.Answering >= p.K,
	}
	if len(granted) > 0 {
		counts := v.DomainsOf(w.tally.Reached(lowest.lacking))
		for _, slots := range counts {
			out.Reachable += slots
		}
		out.Domains = len(counts)
		out.AfterWorst5, _ = group.Remaining(counts, p.K, group.WorstDomains)
	}
	if holders {
		out.Holders = n.slotHolders(v, len(lacked))
	}
	return out, nil
}

// slotHolders lists a group's holders by slot, vacant slots among them. own is
// how many segments this node lacks.
func (n *Node) slotHolders(v *neighbours.Roll, own int) []SlotHolder {
	list := n.neighbours.Holders(v.ID)
	var out []SlotHolder
	at := 0
	for slot := range v.Table.Profile.N {
		begin := len(out)
		for ; at < len(v.Table.Held) && int(v.Table.Held[at].Slot) == slot; at++ {
			x := v.Table.Held[at]
			row := SlotHolder{
				Slot: slot, Peer: x.Peer.String(), Self: at == v.Self, Drawn: x.Drawn, State: liveness.Present.String(),
				Proved: !v.View.Unaudited.Has(at) && !v.View.Weak.Has(at), Domain: v.DomainAt(at).String(),
			}
			if row.Self {
				row.Drawn, row.Lacks = v.Drawn, own
			}
			for i := range list {
				if h := &list[i]; h.Peer == x.Peer && h.Slot == slot {
					row.State, row.Lacks, row.Failed, row.Draining = h.State.String(), h.Lacks, h.Failed, h.Draining
				}
			}
			out = append(out, row)
		}
		if len(out) == begin {
			out = append(out, SlotHolder{Slot: slot})
		}
	}
	return out
}
