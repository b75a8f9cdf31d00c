package p2p

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Clients come with old addresses, from links and from their book. A peer that
// none of them leads to may have moved to another one.
const (
	movedAfter = time.Second      // a peer silent for this long is also sought while it is dialled
	movedFor   = 2 * time.Second  // how long seeking may take
	movedAgain = 30 * time.Second // from one search for a peer to the next
	maxMoved   = 1024
)

// sought remembers which peers the DHT was asked for recently, so that a peer
// gone for good costs a lookup now and then, not one with every request.
type sought struct {
	mu sync.Mutex
	at map[peer.ID]time.Time // guarded by mu
}

// claim reports whether a peer is to be sought now.
func (s *sought) claim(p peer.ID, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if at, ok := s.at[p]; ok && now.Sub(at) < movedAgain {
		return false
	}
	if s.at == nil || len(s.at) >= maxMoved {
		s.at = make(map[peer.ID]time.Time)
	}
	s.at[p] = now
	return true
}

// openStream opens a stream to a peer at the addresses known. If these refuse or
// are silent, a client seeks others in the DHT. A node does not: the peers that it
// has to speak to come to it after a move, and its routing table is refreshed.
func (h *Host) openStream(ctx context.Context, to peer.ID) (network.Stream, error) {
	if h.cfg.Server || h.connected(to) {
		return h.host.NewStream(ctx, to, h.protocols...)
	}
	dialling, stop := context.WithCancel(ctx)
	defer stop()
	failed, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-failed:
		case <-time.After(movedAfter):
		case <-dialling.Done():
			return
		}
		if h.seekMoved(ctx, to) {
			stop() // libp2p would go on waiting for the addresses that it began with
		}
	}()
	s, err := h.host.NewStream(dialling, to, h.protocols...)
	if err == nil || ctx.Err() != nil || dialling.Err() == nil && h.connected(to) {
		return s, err
	}
	close(failed)
	<-done
	if !h.connected(to) {
		return nil, err
	}
	return h.host.NewStream(ctx, to, h.protocols...)
}

// seekMoved asks the DHT where a peer is, and reports whether that led to it:
// the lookup itself dials what it finds.
func (h *Host) seekMoved(ctx context.Context, p peer.ID) bool {
	ctx, cancel := context.WithTimeout(ctx, movedFor)
	defer cancel()
	if !h.someoneToAsk(ctx) || !h.moved.claim(p, h.cfg.Now()) {
		return false
	}
	if _, err := h.dht.FindPeer(ctx, p); err != nil {
		h.log.Debug("peer not found elsewhere", "peer", p, "err", err)
	}
	return h.connected(p)
}

// someoneToAsk reports whether the DHT has a peer to ask. It waits for one that
// was just met, or may still be met.
func (h *Host) someoneToAsk(ctx context.Context) bool {
	if h.dht.RoutingTable().Size() > 0 {
		return true
	}
	select {
	case <-h.tried:
		if h.Peers() == 0 {
			return false
		}
	default:
	}
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	return h.awaitTable(ctx)
}
