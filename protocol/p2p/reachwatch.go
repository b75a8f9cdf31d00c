package p2p

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// lookAgain is how often the machine's own addresses are looked at.
const lookAgain = time.Minute

// reachState is what the watch over reachability found last.
type reachState struct {
	mu     sync.Mutex
	now    verdict                            // guarded by mu
	tested event.EvtHostReachableAddrsChanged // guarded by mu
}

func (s *reachState) verdict() verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *reachState) set(v verdict, tested event.EvtHostReachableAddrsChanged) (before verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before, s.now, s.tested = s.now, v, tested
	return before
}

// silenceAutoNAT makes AutoNAT v1 say "unknown", once, and nothing else. In libp2p
// the DHT's mode, AutoRelay and the relay service follow v1, whose results come
// from servers that a new network lacks. AutoNAT v2 tests every address and is
// served by every node, but nothing follows it. So the watch over reachability
// speaks in v1's place, with v2's results.
func silenceAutoNAT(cfg *libp2p.Config) error {
	unknown := network.ReachabilityUnknown
	cfg.AutoNATConfig.ForceReachability = &unknown
	return nil
}

// watchReach follows what AutoNAT v2 finds and tells the rest of libp2p.
func (h *Host) watchReach(ctx context.Context) error {
	sub, err := h.host.EventBus().Subscribe(new(event.EvtHostReachableAddrsChanged), eventbus.Name("cairn reachability"))
	if err != nil {
		return err
	}
	tell, err := h.host.EventBus().Emitter(new(event.EvtLocalReachabilityChanged), eventbus.Stateful)
	if err != nil {
		_ = sub.Close()
		return err
	}
	h.wg.Go(func() {
		defer func() { _ = sub.Close(); _ = tell.Close() }()
		h.followReach(ctx, sub.Out(), tell)
	})
	return nil
}

func (h *Host) followReach(ctx context.Context, found <-chan any, tell event.Emitter) {
	j := judge{stated: h.cfg.Public}
	var tested event.EvtHostReachableAddrsChanged
	told := network.ReachabilityUnknown // by silenceAutoNAT
	for {
		public := h.public.next()
		now := h.cfg.Now()
		v, again := j.weigh(h.evidence(tested), now)
		if before := h.reach.set(v, tested); before != v {
			h.log.Info("reachability", "state", v.state, "reason", v.reason)
		}
		if v.acts != told {
			told = v.acts
			_ = tell.Emit(event.EvtLocalReachabilityChanged{Reachability: told})
		}
		wait := lookAgain
		if !again.IsZero() {
			wait = min(wait, again.Sub(now))
		}
		timer := time.NewTimer(wait)
		select {
		case e, ok := <-found:
			if !ok {
				return
			}
			tested, _ = e.(event.EvtHostReachableAddrsChanged)
		case <-public:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		timer.Stop()
	}
}

func (h *Host) evidence(tested event.EvtHostReachableAddrsChanged) evidence {
	own, _ := h.host.Network().InterfaceListenAddresses()
	return evidence{
		public:    h.gate.public.Load(),
		own:       slices.ContainsFunc(own, manet.IsPublicAddr),
		reachable: len(tested.Reachable), unreachable: len(tested.Unreachable), unknown: len(tested.Unknown),
	}
}

// saw notes at what address a peer is connected.
func (h *Host) saw(a multiaddr.Multiaddr) {
	before := h.gate.public.Load()
	if h.gate.saw(a); !before && h.gate.public.Load() {
		h.public.fire()
		h.ports.begin()
	}
}

// Reachability tells how others reach this peer, as far as it knows.
func (h *Host) Reachability() Reachability {
	if !h.cfg.Server {
		return Reachability{State: ReachPrivate, Reason: ReasonClient, Punched: h.punched.Load()}
	}
	h.reach.mu.Lock()
	v, tested := h.reach.now, h.reach.tested
	h.reach.mu.Unlock()
	return Reachability{
		State: v.state, Reason: v.reason, Direct: tested.Reachable, Failed: tested.Unreachable,
		Relays: relaysOf(h.host.Addrs()), Mapped: h.ports.mapped(),
		Punched: h.punched.Load(), Carried: h.relayMeter.bytes.Load(),
	}
}

// relaysOf returns the relays that stand in addresses, each once.
func relaysOf(addrs []multiaddr.Multiaddr) []peer.ID {
	var out []peer.ID
	for _, a := range addrs {
		before, rest := multiaddr.SplitFunc(a, func(c multiaddr.Component) bool { return c.Protocol().Code == multiaddr.P_CIRCUIT })
		if rest == nil {
			continue
		}
		if relay, err := peer.IDFromP2PAddr(before); err == nil && !slices.Contains(out, relay) {
			out = append(out, relay)
		}
	}
	return out
}

// tellable picks the addresses that this peer, and libp2p for it, tells others:
// few enough for an envelope. If it was found unreachable and has relays, its own
// public addresses, which work for nobody, are left out; hole punching still
// knows them.
func (h *Host) tellable(addrs []multiaddr.Multiaddr) []multiaddr.Multiaddr {
	if !h.cfg.Server {
		return nil
	}
	if h.reach.verdict().acts == network.ReachabilityPrivate && slices.ContainsFunc(addrs, relayed) {
		addrs = slices.DeleteFunc(slices.Clone(addrs), func(a multiaddr.Multiaddr) bool {
			return !relayed(a) && manet.IsPublicAddr(a)
		})
	}
	return presentable(addrs, h.cfg.Listen, h.gate.public.Load())
}
