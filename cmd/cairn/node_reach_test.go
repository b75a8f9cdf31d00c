package main

import (
	"strings"
	"testing"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node"
	"github.com/cairnstore/cairn/protocol/p2p"
)

func TestReachText(t *testing.T) {
	at := []multiaddr.Multiaddr{multiaddr.StringCast("/ip4/203.0.113.7/tcp/4401")}
	for _, c := range []struct {
		r      p2p.Reachability
		relays []string
		want   string
	}{
		{p2p.Reachability{State: p2p.ReachPublic, Reason: p2p.ReasonTested, Direct: at, Mapped: true}, nil, `
reachable  others can dial this node: others dialled it at /ip4/203.0.113.7/tcp/4401, which the router opened when asked
`},
		{p2p.Reachability{State: p2p.ReachPublic, Reason: p2p.ReasonStated, Failed: at}, nil, `
reachable  others can dial this node: --public yes says so, but others tried in vain at /ip4/203.0.113.7/tcp/4401
`},
		{p2p.Reachability{State: p2p.ReachUnknown, Reason: p2p.ReasonLocal}, nil, `
reachable  not known yet: all peers met so far are of its own network
`},
		{p2p.Reachability{State: p2p.ReachUnknown, Reason: p2p.ReasonUntested}, nil, `
reachable  not known yet: it has a public address, which nobody has tried yet
`},
		{p2p.Reachability{State: p2p.ReachUnknown, Reason: p2p.ReasonEarly}, nil, `
reachable  not known yet: it has been among others for less than a minute
`},
		{p2p.Reachability{State: p2p.ReachPrivate, Reason: p2p.ReasonFailed, Failed: at}, []string{"a", "b"}, `
reachable  not directly, it is behind a NAT or firewall: others tried in vain at /ip4/203.0.113.7/tcp/4401
  it is of use all the same: 2 relays lead to it, and a direct way is punched where both routers allow
  forward its port (TCP and UDP) to spare the relays and be faster
`},
		{p2p.Reachability{State: p2p.ReachPrivate, Reason: p2p.ReasonHidden}, nil, `
reachable  not directly, it is behind a NAT or firewall: no address is known at which others could dial it
  and no peer relays for it yet: nobody outside its own network can store here.
  Forward its port (TCP and UDP), or wait: it asks the peers that it meets
`},
		{p2p.Reachability{State: p2p.ReachPrivate, Reason: p2p.ReasonStated}, []string{"a"}, `
reachable  not directly, it is behind a NAT or firewall: --public says so
  it is of use all the same: 1 relay leads to it, and a direct way is punched where both routers allow
  forward its port (TCP and UDP) to spare the relays and be faster
`},
	} {
		got := reachText(nodeStatus{Reachable: node.Reach(c.r.State), Why: whyReach(c.r), Relays: c.relays})
		if want := strings.TrimPrefix(c.want, "\n"); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}
