package p2p

import (
	"io"
	"math"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	goyamux "github.com/libp2p/go-yamux/v5"
)

const (
	// dialTimeout is how long one address may take to be dialled, handshakes
	// included; openTimeout the whole of Open.
	dialTimeout = 5 * time.Second
	openTimeout = 5 * time.Second

	// Connections beyond keepConns+spareConns are trimmed to keepConns, the
	// least useful first, once they are older than newConn.
	keepConns  = 192
	spareConns = 64
	newConn    = time.Minute

	// muxMessage is the largest frame of a stream: with libp2p's 64 KiB, bulk
	// costs a tenth to a quarter more. The window may grow to muxWindow: kept at
	// its initial 256 KiB it would give 3 MB/s at 50 ms round trip.
	muxMessage = 256 << 10
	muxWindow  = 16 << 20

	maxAddrs = 100_000 // addresses of strangers kept in memory

	userAgent = "cairn"
)

// options are libp2p's options for this host. It does not listen yet: if a port
// were taken, libp2p would silently go on without it.
func (h *Host) options() ([]libp2p.Option, error) {
	cfg := h.cfg
	resources, err := newResources(cfg.Registerer != nil)
	if err != nil {
		return nil, err
	}
	manager, err := connmgr.NewConnManager(keepConns, keepConns+spareConns, connmgr.WithGracePeriod(newConn))
	if err != nil {
		return nil, err
	}
	store, err := pstoremem.NewPeerstore(pstoremem.WithMaxAddresses(maxAddrs))
	if err != nil {
		return nil, err
	}
	refused := newRefusals(cfg.Now)
	opts := []libp2p.Option{
		libp2p.Identity(cfg.Key),
		libp2p.UserAgent(userAgent),
		libp2p.NoListenAddrs,
		libp2p.EnableRelay(), // as a transport; NoListenAddrs alone would switch it off
		libp2p.AddrsFactory(h.tellable),
		silenceAutoNAT,
		libp2p.Peerstore(store),
		libp2p.ResourceManager(resources),
		libp2p.ConnectionManager(manager),
		libp2p.ConnectionGater(familyGate{h.gate, routeIPv6(cfg.Now, lookIPv6)}),
		libp2p.Transport(newTCP(refused)),
		libp2p.Transport(newQUIC(refused)),
		libp2p.Security(libp2ptls.ID, newTLS),
		libp2p.Security(noise.ID, noise.New),
		libp2p.Muxer(yamux.ID, muxer()),
		libp2p.Ping(false),
		libp2p.WithDialTimeout(dialTimeout),
		libp2p.SwarmOpts(swarm.WithDialRanker(rankDials)),
		// With TCP dialled first, most QUIC dials are given up half-way: if these
		// counted as failures, QUIC would be switched off where it is needed.
		libp2p.UDPBlackHoleSuccessCounter(nil),
		libp2p.IPv6BlackHoleSuccessCounter(nil),
	}
	opts = append(opts, h.roleOptions()...)
	return append(opts, cfg.options...), nil
}

// roleOptions are the options in which client and node differ, and metrics and
// none.
func (h *Host) roleOptions() []libp2p.Option {
	opts := h.natOptions()
	if h.cfg.Registerer != nil {
		rcmgr.MustRegisterWith(h.cfg.Registerer)
		return append(opts, libp2p.PrometheusRegisterer(h.cfg.Registerer))
	}
	return append(opts, libp2p.DisableMetrics())
}

func muxer() *yamux.Transport {
	c := goyamux.DefaultConfig()
	c.MaxMessageSize = muxMessage
	c.MaxStreamWindowSize = muxWindow
	c.MaxIncomingStreams = math.MaxUint32 // the resource manager counts
	c.ReadBufSize = 0                     // TLS and Noise have their own
	c.LogOutput = io.Discard
	return (*yamux.Transport)(c)
}
