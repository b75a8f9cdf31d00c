package client

import (
	"errors"

	"github.com/cairnstore/cairn/protocol/group"
)

// judge sums up: a file is only as healthy as its lowest segment.
func (c *Client) judge(h *Health, results []segmentHealth) {
	holders := make(map[*foundGroup][]HolderHealth)
	var order []*foundGroup
	lowest := -1
	for _, s := range results {
		if s.group == nil {
			h.Problem = errors.Join(h.Problem, s.err)
			h.Reachable, lowest = 0, 0
			continue
		}
		if holders[s.group] == nil {
			order = append(order, s.group)
			holders[s.group] = newHolders(s.group)
		}
		health := c.countSegment(&s, holders[s.group])
		if s.err != nil {
			h.Problem = errors.Join(h.Problem, s.err)
		}
		if margin := health.Reachable - health.Needed; lowest < 0 || margin < h.Reachable-h.Needed {
			lowest = health.Reachable
			h.Profile, h.Reachable, h.Needed = s.group.table.Profile, health.Reachable, health.Needed
			h.Domains, h.AfterWorst5 = health.Domains, health.AfterWorst
		}
	}
	if h.Needed == 0 {
		h.Needed = h.Profile.K
	}
	for _, g := range order {
		for i := range holders[g] {
			hh := &holders[g][i]
			hh.Reported = g.naming(hh.Slot, hh.Peer)
		}
		h.Holders = append(h.Holders, holders[g]...)
	}
	c.placeHolders(h.Holders)
}

func newHolders(g *foundGroup) []HolderHealth {
	out := make([]HolderHealth, len(g.table.Slots))
	for slot := range out {
		out[slot] = HolderHealth{Group: g.id, Slot: slot, Peer: g.table.Holder(slot), Proved: true}
	}
	return out
}

// countSegment adds a segment's results to its group's holders and measures
// the slots that were proved.
func (c *Client) countSegment(s *segmentHealth, holders []HolderHealth) group.Health {
	var proved []group.Holder
	var seen []group.Candidate
	for slot := range holders {
		hh := &holders[slot]
		err := s.err
		if err == nil {
			err = s.slots[slot].err
			hh.Peer = s.slots[slot].peer
		}
		hh.Asked++
		if err != nil {
			hh.Proved = false
			if hh.Err == nil {
				hh.Err = err
			}
			continue
		}
		hh.Met++
		cand := c.seen(hh.Peer)
		proved, seen = append(proved, group.Holder{Slot: slot, Candidate: cand}), append(seen, cand)
	}
	return group.HealthOf(s.group.table.Profile, proved, group.Private(seen))
}

// placeHolders names the failure domains of those that were reached.
func (c *Client) placeHolders(holders []HolderHealth) {
	var seen []group.Candidate
	for i := range holders {
		if holders[i].Peer != "" {
			seen = append(seen, c.seen(holders[i].Peer))
		}
	}
	private := group.Private(seen)
	for i := range holders {
		if cand := c.seen(holders[i].Peer); cand.Addr.IsValid() || cand.Relay != "" {
			holders[i].Domain = cand.Domain(private).String()
		}
	}
}
