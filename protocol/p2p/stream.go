package p2p

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"

	"github.com/cairnstore/cairn/protocol"
)

const (
	hintTTL   = 30 * time.Minute // how long a hint is worth dialling
	freshTTL  = 2 * time.Minute  // remembered addresses, while they are being dialled
	searchFor = 3 * time.Second  // how much of Open may go into finding a peer's addresses in the DHT

	busyTag   = "cairn/stream" // tells the connection manager which peers have open streams,
	busyValue = 20             // each of which counts more than a place in the DHT
)

// stream is a libp2p stream as the protocol sees it. While it is open, its
// connection is the last to be trimmed.
type stream struct {
	network.Stream
	release func()
}

var _ protocol.Stream = (*stream)(nil)

// newStream takes a stream over from libp2p.
func (h *Host) newStream(s network.Stream) *stream {
	p, manager := s.Conn().RemotePeer(), h.host.ConnManager()
	manager.UpsertTag(p, busyTag, func(v int) int { return v + busyValue })
	return &stream{s, sync.OnceFunc(func() {
		manager.UpsertTag(p, busyTag, func(v int) int { return max(v-busyValue, 0) })
	})}
}

// Close flushes what was written and closes both directions.
func (s *stream) Close() error {
	s.release()
	return s.Stream.Close()
}

// Reset ends both directions immediately.
func (s *stream) Reset() error {
	s.release()
	return s.Stream.Reset()
}

// Remote tells who is at the other end.
func (s *stream) Remote() protocol.Remote {
	a := s.Conn().RemoteMultiaddr()
	return protocol.Remote{
		Peer: s.Conn().RemotePeer(), Addr: a,
		Relayed: s.Conn().Stat().Limited || a != nil && relayed(a),
	}
}

// inbound is what answers the streams that peers open.
type inbound struct {
	first  sync.Once
	ready  chan struct{} // closed once there is a handle
	handle atomic.Pointer[func(protocol.Stream)]
}

// wait waits until there is a handle; it reports false if there is none in time.
func (i *inbound) wait(running context.Context) bool {
	select {
	case <-i.ready: // as for all streams but the first
		return true
	default:
	}
	ctx, cancel := context.WithTimeout(running, openTimeout)
	defer cancel()
	select {
	case <-i.ready:
		return true
	case <-ctx.Done():
		return false
	}
}

// Serve hands every stream that a peer opens to handle, in a goroutine of its
// own. handle must end the stream. Streams that come before the first call wait
// for it, for 5 seconds at most. Only a Host with Config.Server takes any.
func (h *Host) Serve(handle func(protocol.Stream)) {
	h.inbound.handle.Store(&handle)
	h.inbound.first.Do(func() { close(h.inbound.ready) })
}

// offer tells peers that this one serves. It must be called before the first of
// them connects: libp2p does not number the messages in which peers introduce
// themselves, so if one from before and one from after are under way together,
// the peer may go on believing the older.
func (h *Host) offer(running context.Context) {
	for _, id := range h.protocols {
		h.host.SetStreamHandler(id, func(s network.Stream) {
			if !h.inbound.wait(running) {
				_ = s.Reset()
				return
			}
			h.book.spoke(s.Conn().RemotePeer(), h.cfg.Now())
			(*h.inbound.handle.Load())(h.newStream(s))
		})
	}
}

// Open opens a stream to a peer, in the highest protocol version that both
// speak. A peer that is not connected is dialled at the addresses remembered
// and learnt or, if there are none, at those that the DHT knows; a client also
// asks the DHT if those addresses lead nowhere. It takes 5 seconds at most. A
// stream through a relay is opened immediately, and stays there if a hole is
// punched meanwhile; the next one then goes direct. Open returns ErrUnreachable,
// with the cause, if no address works or the peer does not speak our protocol;
// ctx's error if that ends first.
func (h *Host) Open(ctx context.Context, to peer.ID) (protocol.Stream, error) {
	short, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	if !h.connected(to) {
		h.freshen(to)
		h.locate(short, to)
		h.awaitPunchReady(short, to)
	}
	s, err := h.openStream(network.WithAllowLimitedConn(short, "cairn"), to)
	if err == nil && carriesLittle(s.Conn()) {
		_ = s.Reset()
		err = errCarriesLittle
	}
	if err == nil {
		h.book.spoke(to, h.cfg.Now())
		return h.newStream(s), nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("open stream to %s: %w", to, ctx.Err())
	}
	h.log.Debug("peer unreachable", "peer", to, "err", err)
	return nil, &unreachable{to, err}
}

// freshen makes a peer ready to be dialled: it adds what the book remembers, and
// clears libp2p's memory of failures, which can shut a peer out for minutes after
// it is back. An explicit request to dial it has a reason.
func (h *Host) freshen(p peer.ID) {
	if s, ok := h.host.Network().(*swarm.Swarm); ok {
		s.Backoff().Clear(p)
	}
	h.host.Peerstore().AddAddrs(p, h.book.addrs(p), freshTTL)
}

// locate asks the DHT for the addresses of a peer of which none is known.
func (h *Host) locate(ctx context.Context, p peer.ID) {
	if len(h.host.Peerstore().Addrs(p)) > 0 || h.dht.RoutingTable().Size() == 0 || protocol.CheckPeer(p) != nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, searchFor)
	defer cancel()
	if found, err := h.dht.FindPeer(ctx, p); err == nil {
		h.Learn(found)
	}
}
