package gate

import (
	"cmp"

	"github.com/cairnstore/cairn/protocol"
)

// Limits bounds what may be under way at once, so that no crowd and no single
// peer takes all of a node's memory. A source is a /24 (IPv6: /48): peers are
// free, addresses are not. A /16 (IPv6: /32) gets half of all; private and
// loopback addresses count by peer alone.
type Limits struct {
	Streams        int   // open streams in all
	SourceStreams  int   // of the peers of one source
	PeerStreams    int   // of one peer
	Requests       int   // requests being answered, Puts apart
	SourceRequests int   // of the peers of one source
	Body           int64 // bytes of shards in memory
	SourceBody     int64 // of the requests of one source
	PeerBody       int64 // of one peer's
	CacheBytes     int64 // bytes of group states in memory
}

// DefaultLimits returns what a small machine can carry.
func DefaultLimits() Limits {
	return Limits{
		Streams: 4096, SourceStreams: 512, PeerStreams: 64,
		Requests: 512, SourceRequests: 128,
		Body: 128 << 20, SourceBody: 48 << 20, PeerBody: 32 << 20,
		CacheBytes: 64 << 20,
	}
}

// WithDefaults returns the limits with those of DefaultLimits for what is zero.
func (l Limits) WithDefaults() Limits {
	d := DefaultLimits()
	l = Limits{
		Streams: cmp.Or(l.Streams, d.Streams), SourceStreams: cmp.Or(l.SourceStreams, d.SourceStreams), PeerStreams: cmp.Or(l.PeerStreams, d.PeerStreams),
		Requests: cmp.Or(l.Requests, d.Requests), SourceRequests: cmp.Or(l.SourceRequests, d.SourceRequests),
		Body: cmp.Or(l.Body, d.Body), SourceBody: cmp.Or(l.SourceBody, d.SourceBody), PeerBody: cmp.Or(l.PeerBody, d.PeerBody),
		CacheBytes: cmp.Or(l.CacheBytes, d.CacheBytes),
	}
	// Less than one shard would refuse every Put.
	l.Body = max(l.Body, protocol.MaxShardSize)
	l.SourceBody = min(max(l.SourceBody, protocol.MaxShardSize), l.Body)
	l.PeerBody = min(max(l.PeerBody, protocol.MaxShardSize), l.SourceBody)
	return l
}
