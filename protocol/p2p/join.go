package p2p

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
)

// ErrAlone says that every known peer was tried and none answered.
var ErrAlone = errors.New("no peer answers")

const (
	dialsAtOnce    = 16
	enoughPeers    = 8 // with this many, a server seeks no more
	enoughOfClient = 3 // the same for a client, which dials the peers that it needs anyway
	clientStagger  = 50 * time.Millisecond
	bootstrapAfter = time.Second     // head start of the remembered peers over the given ones
	seekFirst      = time.Second     // while alone, the next round starts after this long,
	seekMost       = time.Minute     // doubled each time up to this
	seekFew        = 2 * time.Minute // not alone, but few
	greeting       = time.Second     // from being connected to being known as one of ours
	localGrace     = 2 * time.Second // what mDNS gets before this peer counts as alone
)

// Wait returns nil as soon as a peer that speaks our protocol was met. It
// returns ErrAlone when all known peers were tried in vain (the search goes on,
// and a later Wait may succeed), or ctx's error.
func (h *Host) Wait(ctx context.Context) error {
	select {
	case <-h.met:
		return nil
	default:
	}
	select {
	case <-h.met:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-h.tried:
	}
	select {
	case <-h.met: // just now
		return nil
	default:
		return ErrAlone
	}
}

// join dials remembered and given peers until enough are there, and again
// whenever all are gone.
func (h *Host) join(ctx context.Context) {
	pause := seekFirst
	for first := true; ctx.Err() == nil; first = false {
		lost := h.lost.next()
		h.seek(ctx)
		if first {
			h.settle(ctx)
		}
		wait := seekFew
		if h.Peers() == 0 {
			wait, pause = pause, min(2*pause, seekMost)
		} else {
			pause = seekFirst
		}
		select {
		case <-lost:
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// settle ends the first round, once peers had time to answer or be found.
func (h *Host) settle(ctx context.Context) {
	grace := time.Duration(0)
	if len(h.host.Network().Peers()) > 0 {
		grace = greeting
	}
	if h.cfg.MDNS {
		grace = localGrace
	}
	select {
	case <-h.met:
	case <-time.After(grace):
	case <-ctx.Done():
	}
	close(h.tried)
}

// seek is one round: remembered peers first, the given ones a little later
// unless enough of the others answered.
func (h *Host) seek(ctx context.Context) {
	if h.hasEnough() {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var remembered errgroup.Group
	remembered.SetLimit(dialsAtOnce)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i, p := range h.acquaintances() {
			if !h.cfg.Server && i >= enoughOfClient {
				h.awaitGreeting(ctx)
			}
			if ctx.Err() != nil || h.hasEnough() {
				break
			}
			h.dialling.Add(1)
			remembered.Go(func() error {
				defer h.dialling.Add(-1)
				h.meet(ctx, p)
				return nil
			})
		}
		_ = remembered.Wait()
	}()
	select {
	case <-done:
	case <-time.After(bootstrapAfter):
	}
	var given errgroup.Group
	given.SetLimit(dialsAtOnce)
	for _, b := range h.cfg.Bootstrap {
		if !h.hasEnough() {
			given.Go(func() error { h.meet(ctx, b.ID); return nil })
		}
	}
	_ = given.Wait()
	<-done
}

// hasEnough reports whether no more peers are sought. Each costs a client a
// handshake.
func (h *Host) hasEnough() bool {
	if h.cfg.Server {
		return h.Peers() >= enoughPeers
	}
	return h.Peers() >= enoughOfClient
}

// acquaintances returns the peers remembered, in the order in which they are
// dialled: the newest first. A client draws one of the few that it dials by lot,
// so that it does not see the network through the same few for ever.
func (h *Host) acquaintances() []peer.ID {
	list := h.book.peers()
	if last := enoughOfClient - 1; !h.cfg.Server && len(list) > last {
		i := last + rand.IntN(len(list)-last)
		list[last], list[i] = list[i], list[last]
	}
	return list
}

// awaitGreeting gives peers that are being dialled a moment to turn out to be ours.
func (h *Host) awaitGreeting(ctx context.Context) {
	if h.dialling.Load() == 0 && len(h.host.Network().Peers()) == 0 {
		return // all have failed
	}
	select {
	case <-time.After(clientStagger):
	case <-ctx.Done():
	}
}

// meet connects to a peer if it is not connected. Failure is ordinary.
func (h *Host) meet(ctx context.Context, p peer.ID) {
	if p == h.Self() || h.connected(p) {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	h.freshen(p)
	h.awaitPunchReady(ctx, p)
	if err := h.host.Connect(network.WithAllowLimitedConn(ctx, "cairn"), peer.AddrInfo{ID: p}); err != nil {
		h.log.Debug("peer does not answer", "peer", p, "error", err)
	}
}

// keepBook saves the book some time after it changed.
func (h *Host) keepBook(ctx context.Context) {
	if h.cfg.Book == "" {
		return
	}
	pause := saveFirst
	for {
		select {
		case <-h.book.wake:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
		pause = saveInterval
		if err := h.book.save(h.cfg.Book); err != nil {
			h.log.Warn("peers are not remembered", "error", err)
		}
	}
}
