package main

import (
	"fmt"
	"strings"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/protocol/p2p"
)

// reach says how others reach the node, for its status.
func (s *nodeStart) reach() node.Reachability {
	r := s.host.Reachability()
	out := node.Reachability{State: node.Reach(r.State), Why: whyReach(r), Punched: r.Punched, Carried: r.Carried}
	for _, p := range r.Relays {
		out.Relays = append(out.Relays, p.String())
	}
	return out
}

// whyReach says how a node came to know how others reach it.
func whyReach(r p2p.Reachability) string {
	switch r.Reason {
	case p2p.ReasonStated:
		if r.State == p2p.ReachPublic && len(r.Failed) > 0 {
			return "--public yes says so, but others tried in vain at " + addrsText(r.Failed)
		}
		return "--public says so"
	case p2p.ReasonTested:
		why := "others dialled it at " + addrsText(r.Direct)
		if r.Mapped {
			why += ", which the router opened when asked"
		}
		return why
	case p2p.ReasonFailed:
		return "others tried in vain at " + addrsText(r.Failed)
	case p2p.ReasonUntested:
		return "it has a public address, which nobody has tried yet"
	case p2p.ReasonHidden:
		return "no address is known at which others could dial it"
	case p2p.ReasonEarly:
		return "it has been among others for less than a minute"
	case p2p.ReasonLocal:
		return "all peers met so far are of its own network"
	case p2p.ReasonClient:
		return "it serves nobody"
	}
	return string(r.Reason)
}

func addrsText(addrs []multiaddr.Multiaddr) string {
	out := make([]string, len(addrs))
	for i, a := range addrs {
		out[i] = a.String()
	}
	return strings.Join(out, " and ")
}

// reachText says in plain words whether a node can be reached, and what that
// means.
func reachText(st nodeStatus) string {
	switch st.Reachable {
	case node.ReachPublic:
		return sprintln("reachable  others can dial this node: %s", st.Why)
	case node.ReachUnknown:
		return sprintln("reachable  not known yet: %s", st.Why)
	}
	text := sprintln("reachable  not directly, it is behind a NAT or firewall: %s", st.Why)
	if n := len(st.Relays); n > 0 {
		text += sprintln("  it is of use all the same: %s to it, and a direct way is punched where both routers allow", leads(n))
		return text + sprintln("  forward its port (TCP and UDP) to spare the relays and be faster")
	}
	return text + sprintln("  and no peer relays for it yet: nobody outside its own network can store here.") +
		sprintln("  Forward its port (TCP and UDP), or wait: it asks the peers that it meets")
}

func leads(relays int) string {
	if relays == 1 {
		return "1 relay leads"
	}
	return fmt.Sprintf("%d relays lead", relays)
}
