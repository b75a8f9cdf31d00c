package p2p

import (
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
)

// natOptions switch on what gets through NATs: for nodes all of it; for clients
// that may meet nodes behind NATs, hole punching only.
func (h *Host) natOptions() []libp2p.Option {
	var opts []libp2p.Option
	if h.punching {
		opts = append(opts, libp2p.EnableHolePunching(h.punchTracer()))
	}
	if len(h.cfg.Listen) == 0 && !h.punching {
		opts = append(opts, libp2p.DisableIdentifyAddressDiscovery())
	}
	if !h.cfg.Server {
		return opts
	}
	var metrics relay.MetricsTracer
	if h.cfg.Registerer != nil {
		metrics = relay.NewMetricsTracer(relay.WithRegisterer(h.cfg.Registerer))
	}
	h.relayMeter = newRelayMeter(metrics)
	opts = append(opts,
		libp2p.EnableAutoNATv2(),
		libp2p.EnableRelayService(relay.WithResources(relayResources()), relay.WithACL(donorsOnly{h}), relay.WithMetricsTracer(h.relayMeter)),
		libp2p.EnableAutoRelayWithPeerSource(h.relayCandidates, h.autoRelay()...),
	)
	if h.cfg.PortMap && h.cfg.Public == PublicAuto {
		opts = append(opts, libp2p.NATManager(func(n network.Network) basichost.NATManager {
			h.ports = &portMapper{net: n, start: basichost.NewNATManager}
			return h.ports
		}))
	}
	return opts
}

func (h *Host) punchTracer() holepunch.Option {
	if h.cfg.Registerer == nil {
		return holepunch.WithTracer(&h.punched)
	}
	return holepunch.WithMetricsAndEventTracer(holepunch.NewMetricsTracer(holepunch.WithRegisterer(h.cfg.Registerer)), &h.punched)
}
