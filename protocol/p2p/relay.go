package p2p

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/autorelay"
	circuit "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	pb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/time/rate"
)

// What a reachable node carries for nodes that are not. libp2p's limits (128
// KiB and two minutes a circuit, 16 circuits a peer) suffice to punch a hole,
// but not for a shard, nor for an owner with many holders behind one relay.
const (
	relayData     = 256 << 20 // bytes of a circuit in each direction
	relayDuration = time.Hour // how long a circuit may last
	relayRate     = 4 << 20   // bytes a second of all circuits together
	relayBurst    = 1 << 20   // bytes
	relayBuffer   = 16 << 10  // bytes copied at a time, two of them a circuit

	relaySlots      = 128 // reservations
	relaySlotsIP    = 8   // from one address
	relaySlotsASN   = 32  // from one IPv6 network
	relayCircuits   = 128 // of one peer
	relayReserveFor = time.Hour
)

// How a node that cannot be dialled gets relays.
const (
	wantRelays    = 2
	maxCandidates = 8
	relayRetry    = time.Minute     // after a relay said no
	relaySeek     = 5 * time.Second // between looks for a relay

	// minRelayed is what a relay of another kind must carry, in bytes, to be of
	// use: a shard and room to spare.
	minRelayed = 8 << 20
)

// relayMeter slows down and counts what is relayed. libp2p calls it after each
// buffer that it has copied, so waiting here holds the circuit back; libp2p has
// no other place for a limit on bandwidth.
type relayMeter struct {
	relay.MetricsTracer // nil where no metrics are kept
	limit               *rate.Limiter
	bytes               atomic.Int64
}

func newRelayMeter(metrics relay.MetricsTracer) *relayMeter {
	if metrics == nil {
		metrics = silentRelay{}
	}
	return &relayMeter{MetricsTracer: metrics, limit: rate.NewLimiter(relayRate, relayBurst)}
}

// BytesTransferred is called after n bytes were carried.
func (c *relayMeter) BytesTransferred(n int) {
	c.bytes.Add(int64(n))
	c.MetricsTracer.BytesTransferred(n)
	_ = c.limit.WaitN(context.Background(), n) // n ≤ relayBuffer: milliseconds
}

// silentRelay keeps no metrics.
type silentRelay struct{}

func (silentRelay) RelayStatus(bool)                    {}
func (silentRelay) ConnectionOpened()                   {}
func (silentRelay) ConnectionClosed(time.Duration)      {}
func (silentRelay) ConnectionRequestHandled(pb.Status)  {}
func (silentRelay) ReservationAllowed(bool)             {}
func (silentRelay) ReservationClosed(int)               {}
func (silentRelay) ReservationRequestHandled(pb.Status) {}
func (silentRelay) BytesTransferred(int)                {}

func relayResources() relay.Resources {
	return relay.Resources{
		Limit:          &relay.RelayLimit{Duration: relayDuration, Data: relayData},
		ReservationTTL: relayReserveFor, MaxReservations: relaySlots, MaxCircuits: relayCircuits, BufferSize: relayBuffer,
		MaxReservationsPerIP: relaySlotsIP, MaxReservationsPerASN: relaySlotsASN,
	}
}

// donorsOnly lets only nodes of this network be reached through this one: the
// relay protocol itself does not know what network a peer belongs to.
type donorsOnly struct{ h *Host }

// AllowReserve reports whether a peer that asks for a reservation serves.
func (d donorsOnly) AllowReserve(p peer.ID, _ multiaddr.Multiaddr) bool { return d.h.knownToServe(p) }

// AllowConnect lets every peer connect to those that AllowReserve let in.
func (d donorsOnly) AllowConnect(peer.ID, multiaddr.Multiaddr, peer.ID) bool { return true }

// knownToServe reports whether a connected peer speaks our protocol, waiting
// until it has introduced itself.
func (h *Host) knownToServe(p peer.ID) bool {
	ctx, cancel := context.WithTimeout(context.Background(), openTimeout)
	defer cancel()
	if ids, ok := h.host.(interface{ IDService() identify.IDService }); ok {
		for _, c := range h.host.Network().ConnsToPeer(p) {
			select {
			case <-ids.IDService().IdentifyWait(c):
			case <-ctx.Done():
			}
		}
	}
	return h.speaks(p, h.protocols...)
}

func (h *Host) speaks(p peer.ID, ids ...libprotocol.ID) bool {
	found, err := h.host.Peerstore().SupportsProtocols(p, ids...)
	return err == nil && len(found) > 0
}

// relayCandidates yields peers of this network that may relay for this one. It
// waits until one is needed: until this peer was found unreachable, and has
// fewer relays than it wants.
func (h *Host) relayCandidates(ctx context.Context, most int) <-chan peer.AddrInfo {
	out := make(chan peer.AddrInfo, most)
	go func() {
		defer close(out)
		tick := time.NewTicker(relaySeek)
		defer tick.Stop()
		for {
			if found := h.couldRelay(); len(found) > 0 {
				for _, p := range found[:min(len(found), most)] {
					out <- peer.AddrInfo{ID: p, Addrs: h.host.Peerstore().Addrs(p)}
				}
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return out
}

// couldRelay returns peers that serve this network, offer to relay, and were
// dialled by this peer at a public address, so that others can do so too.
func (h *Host) couldRelay() []peer.ID {
	if h.reach.verdict().acts != network.ReachabilityPrivate {
		return nil
	}
	used := relaysOf(h.host.Addrs())
	var out []peer.ID
	for _, c := range h.host.Network().Conns() {
		p, at := c.RemotePeer(), c.RemoteMultiaddr()
		if c.Stat().Direction != network.DirOutbound || relayed(at) || !manet.IsPublicAddr(at) ||
			slices.Contains(used, p) || slices.Contains(out, p) {
			continue
		}
		if h.speaks(p, proto.ProtoIDv2Hop) && h.speaks(p, h.protocols...) {
			out = append(out, p)
		}
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func (h *Host) autoRelay() []autorelay.Option {
	return []autorelay.Option{
		autorelay.WithNumRelays(wantRelays),
		// Any peer that the source yields is good enough: waiting for more to
		// choose from would leave a small network without relays.
		autorelay.WithMinCandidates(1), autorelay.WithMaxCandidates(maxCandidates), autorelay.WithBootDelay(0),
		autorelay.WithBackoff(relayRetry), autorelay.WithMinInterval(relaySeek),
	}
}

var errCarriesLittle = errors.New("its relay carries less than a shard")

// carriesLittle reports whether a connection leads through a relay that would
// break it off before a shard is through.
func carriesLittle(c network.Conn) bool {
	stat := c.Stat()
	if !stat.Limited {
		return false
	}
	most, known := stat.Extra[circuit.StatLimitData].(uint64)
	return known && most > 0 && most < minRelayed
}
