package p2p

import (
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multiaddr"
)

// step is evidence at a time and what must follow from it.
type step struct {
	at     time.Duration // since the start
	e      evidence
	state  Reach
	reason Reason
	acts   network.Reachability
	again  time.Duration // since the start; 0: never
}

const (
	unsure  = network.ReachabilityUnknown
	serves  = network.ReachabilityPublic
	relies  = network.ReachabilityPrivate
	shortly = undecidedFor / 2
)

func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		stated string
		steps  []step
	}{
		"a testnet, for ever": {"", []step{
			{0, evidence{}, ReachUnknown, ReasonLocal, unsure, 0},
			{time.Hour, evidence{}, ReachUnknown, ReasonLocal, unsure, 0},
		}},
		"stated against all evidence": {PublicYes, []step{
			{0, evidence{public: true, unreachable: 2}, ReachPublic, ReasonStated, serves, 0},
		}},
		"stated at once": {PublicNo, []step{{0, evidence{}, ReachPrivate, ReasonStated, relies, 0}}},
		"behind a NAT where nobody can be asked": {"", []step{
			{0, evidence{public: true}, ReachUnknown, ReasonEarly, unsure, undecidedFor},
			{shortly, evidence{public: true, unknown: 2}, ReachUnknown, ReasonEarly, unsure, undecidedFor},
			{undecidedFor, evidence{public: true, unknown: 2}, ReachPrivate, ReasonHidden, relies, 0},
			{time.Hour, evidence{public: true, unknown: 3}, ReachPrivate, ReasonHidden, relies, 0},
		}},
		"behind a NAT that others tried": {"", []step{
			{0, evidence{public: true}, ReachUnknown, ReasonEarly, unsure, undecidedFor},
			{shortly, evidence{public: true, unreachable: 1}, ReachPrivate, ReasonFailed, relies, 0},
			// A new address is seen: that alone does not make it a server again.
			{time.Hour, evidence{public: true, unreachable: 1, unknown: 1}, ReachPrivate, ReasonHidden, relies, 0},
		}},
		"behind a NAT with an open port": {"", []step{
			{0, evidence{public: true}, ReachUnknown, ReasonEarly, unsure, undecidedFor},
			{2 * undecidedFor, evidence{public: true, unknown: 1}, ReachPrivate, ReasonHidden, relies, 0},
			{3 * undecidedFor, evidence{public: true, reachable: 1}, ReachPublic, ReasonTested, serves, 0},
			// Its address changes.
			{time.Hour, evidence{public: true, unknown: 1}, ReachPublic, ReasonTested, serves, time.Hour + undecidedFor},
			{time.Hour + undecidedFor, evidence{public: true, unknown: 1}, ReachPrivate, ReasonHidden, relies, 0},
		}},
		"the first node of a network": {"", []step{
			{0, evidence{own: true, unknown: 2}, ReachUnknown, ReasonLocal, unsure, 0},
			{shortly, evidence{public: true, own: true, unknown: 2}, ReachUnknown, ReasonUntested, serves, 0},
			{time.Hour, evidence{public: true, own: true, unknown: 2}, ReachUnknown, ReasonUntested, serves, 0},
			{2 * time.Hour, evidence{public: true, own: true, reachable: 1, unknown: 1}, ReachPublic, ReasonTested, serves, 0},
		}},
		"a public address behind a firewall": {"", []step{
			{0, evidence{public: true, own: true, unknown: 2}, ReachUnknown, ReasonUntested, serves, 0},
			{shortly, evidence{public: true, own: true, unreachable: 1, unknown: 1}, ReachUnknown, ReasonEarly, unsure, undecidedFor},
			{undecidedFor, evidence{public: true, own: true, unreachable: 1, unknown: 1}, ReachPrivate, ReasonHidden, relies, 0},
			{time.Hour, evidence{public: true, own: true, unreachable: 2}, ReachPrivate, ReasonFailed, relies, 0},
		}},
		"a network turns out to be public late": {"", []step{
			{0, evidence{}, ReachUnknown, ReasonLocal, unsure, 0},
			{time.Hour, evidence{public: true}, ReachUnknown, ReasonEarly, unsure, time.Hour + undecidedFor},
			{time.Hour + undecidedFor, evidence{public: true}, ReachPrivate, ReasonHidden, relies, 0},
		}},
	} {
		start := time.Unix(1_700_000_000, 0)
		j := judge{stated: c.stated}
		for i, s := range c.steps {
			v, again := j.weigh(s.e, start.Add(s.at))
			if want := (verdict{s.state, s.reason, s.acts}); v != want {
				t.Errorf("%s, step %d: %v; want %v", name, i, v, want)
			}
			want := time.Time{}
			if s.again > 0 {
				want = start.Add(s.again)
			}
			if !again.Equal(want) {
				t.Errorf("%s, step %d: to be asked again at %v; want %v", name, i, again, want)
			}
		}
	}
}

const relayText = "/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

func TestTellable(t *testing.T) {
	direct, home := mustAddr(t, "/ip4/20.1.1.1/tcp/4401"), mustAddr(t, "/ip4/192.168.1.2/tcp/4401")
	through := mustAddr(t, "/ip4/20.2.2.2/tcp/4401"+relayText+"/p2p-circuit")
	all := []multiaddr.Multiaddr{direct, home, through}
	h := &Host{cfg: Config{Server: true}, gate: &gate{}}
	for _, c := range []struct {
		public        bool
		acts          network.Reachability
		addrs, expect []multiaddr.Multiaddr
	}{
		{false, unsure, all[:2], []multiaddr.Multiaddr{direct, home}},
		{true, unsure, all, []multiaddr.Multiaddr{direct, through}},
		{true, relies, all, []multiaddr.Multiaddr{through}},
		{true, relies, all[:2], []multiaddr.Multiaddr{direct}}, // no relay yet
	} {
		h.gate.public.Store(c.public)
		h.reach.now.acts = c.acts
		if got := h.tellable(c.addrs); !slices.EqualFunc(got, c.expect, multiaddr.Multiaddr.Equal) {
			t.Errorf("of %v, public %v, %s: %v", c.addrs, c.public, c.acts, got)
		}
	}
	if got := (&Host{}).tellable(all); len(got) != 0 {
		t.Errorf("a client tells of %v", got)
	}
	if got := relaysOf(append(all, mustAddr(t, "/ip4/20.2.2.2/udp/4401/quic-v1"+relayText+"/p2p-circuit"))); len(got) != 1 {
		t.Errorf("relays: %v", got)
	}
}

// TestPunches: a client opens ports only where somebody may be behind a NAT.
func TestPunches(t *testing.T) {
	for addr, want := range map[string]bool{
		"/ip4/127.0.0.1/tcp/4401":    false,
		"/ip4/192.168.1.2/tcp/4401":  false,
		"/ip4/20.1.1.1/tcp/4401":     true,
		"/dns4/example.com/tcp/4401": true,
	} {
		h := &Host{book: newBook()}
		h.book.serving(newPeerID(t), []multiaddr.Multiaddr{mustAddr(t, addr)}, nil, time.Now())
		if h.punches() != want {
			t.Errorf("%s known: punches %v", addr, !want)
		}
	}
	if (&Host{book: newBook()}).punches() {
		t.Error("nobody known: punches")
	}
}
