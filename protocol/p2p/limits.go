package p2p

import (
	"math"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/x/rate"
)

// What one peer may ask of this one, and all of them together. libp2p's
// defaults refuse the 76th stream of a protocol and the ninth connection from
// an address, which a client with a few busy groups and any network on one
// machine exceed.
const (
	maxConns        = 2048
	maxStreams      = 16384
	maxPeerConns    = 16
	maxPeerStreams  = 1024 // of all protocols
	maxPeerRequests = 512  // of any one protocol
	maxHandshakes   = 512  // connections not yet authenticated
	maxMute         = 4096 // streams whose protocol is not known yet
	maxFD           = 4096

	maxMemory          = 512 << 20 // bytes that windows of streams may reserve
	maxPeerMemory      = 160 << 20
	maxHandshakeMemory = 64 << 20

	// For one peer, and for all peers of one /24 (IPv6: /48). A stream reserves
	// 256 KiB at least, so the streams of one origin take a quarter of the memory
	// before their windows grow, and windows stop growing when half of it is taken.
	streamRate          = 500 // streams a second that a peer opens,
	streamBurst         = 2000
	maxPeerMute         = 128
	maxOriginMute       = 512
	maxOriginStreams    = 512
	maxOriginHandshakes = 64

	maxConns4   = 64  // from one IPv4 address
	maxConns4In = 256 // from one IPv4 /24
	maxConns6   = 64  // from one IPv6 /56
	maxConns6In = 256 // from one IPv6 /48

	connRate      = 5 // new connections a second from one IPv4 address or IPv6 /56
	connBurst     = 128
	connWideRate  = 20 // and from one IPv4 /24 or IPv6 /48
	connWideBurst = 512
	rateForgotten = time.Minute
)

// ownRanges are not counted by address: a testnet, or a household behind one
// router, has one address for all. No stranger comes from them: they are
// loopback, private, link-local and documentation ranges.
var ownRanges = []netip.Prefix{
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"),
	netip.MustParsePrefix("172.16.0.0/12"), netip.MustParsePrefix("192.168.0.0/16"),
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("::1/128"), netip.MustParsePrefix("fc00::/7"),
	netip.MustParsePrefix("fe80::/10"), netip.MustParsePrefix("2001:db8::/32"),
}

// newResources builds the resource manager.
func newResources(metrics bool) (network.ResourceManager, error) {
	opts := []rcmgr.Option{
		rcmgr.WithConnRateLimiters(connRates()),
		rcmgr.WithLimitPerSubnet(
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: maxConns4}, {PrefixLength: 24, ConnCount: maxConns4In}},
			[]rcmgr.ConnLimitPerSubnet{{PrefixLength: 56, ConnCount: maxConns6}, {PrefixLength: 48, ConnCount: maxConns6In}},
		),
		rcmgr.WithNetworkPrefixLimit(ownPrefixes()),
	}
	if !metrics {
		opts = append(opts, rcmgr.WithMetricsDisabled())
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(limits()), opts...)
	if err != nil {
		return nil, err
	}
	return newCrowdControl(m), nil
}

func limits() rcmgr.ConcreteLimitConfig {
	return rcmgr.PartialLimitConfig{
		System: rcmgr.ResourceLimits{
			Conns: maxConns, ConnsInbound: maxConns * 3 / 4, ConnsOutbound: maxConns / 2,
			Streams: maxStreams, FD: maxFD, Memory: maxMemory,
		},
		Transient: rcmgr.ResourceLimits{
			Conns: maxHandshakes, Streams: maxMute, FD: maxHandshakes, Memory: maxHandshakeMemory,
		},
		PeerDefault: rcmgr.ResourceLimits{
			Conns: maxPeerConns, Streams: maxPeerStreams, FD: maxPeerConns, Memory: maxPeerMemory,
		},
		ProtocolPeerDefault: rcmgr.ResourceLimits{Streams: maxPeerRequests},
	}.Build(rcmgr.InfiniteLimits)
}

func ownPrefixes() (v4, v6 []rcmgr.NetworkPrefixLimit) {
	for _, p := range ownRanges {
		l := rcmgr.NetworkPrefixLimit{Network: p, ConnCount: math.MaxInt}
		if p.Addr().Is4() {
			v4 = append(v4, l)
		} else {
			v6 = append(v6, l)
		}
	}
	return v4, v6
}

func connRates() *rate.Limiter {
	var free []rate.PrefixLimit
	for _, p := range ownRanges {
		free = append(free, rate.PrefixLimit{Prefix: p}) // the zero limit is none
	}
	one := rate.Limit{RPS: connRate, Burst: connBurst}
	return &rate.Limiter{
		NetworkPrefixLimits: free,
		SubnetRateLimiter: rate.SubnetLimiter{
			IPv4SubnetLimits: []rate.SubnetLimit{
				{PrefixLength: 32, Limit: one},
				{PrefixLength: 24, Limit: rate.Limit{RPS: connWideRate, Burst: connWideBurst}},
			},
			IPv6SubnetLimits: []rate.SubnetLimit{
				{PrefixLength: 56, Limit: one},
				{PrefixLength: 48, Limit: rate.Limit{RPS: connWideRate, Burst: connWideBurst}},
			},
			GracePeriod: rateForgotten,
		},
	}
}
