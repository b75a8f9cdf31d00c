package p2p

import (
	"context"
	"slices"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	"github.com/multiformats/go-multiaddr"
)

// eventBuffer is how many of libp2p's events may wait for us; beyond that, libp2p
// itself would wait.
const eventBuffer = 256

// watch follows which peers come, serve and go.
func (h *Host) watch(ctx context.Context) error {
	sub, err := h.host.EventBus().Subscribe([]any{
		new(event.EvtPeerIdentificationCompleted),
		new(event.EvtPeerProtocolsUpdated),
		new(event.EvtPeerConnectednessChanged),
		new(event.EvtLocalProtocolsUpdated),
	}, eventbus.BufSize(eventBuffer), eventbus.Name("cairn"))
	if err != nil {
		return err
	}
	w := &watcher{h: h, serving: make(map[peer.ID]bool)}
	h.wg.Go(func() {
		defer func() { _ = sub.Close() }()
		for {
			select {
			case e, ok := <-sub.Out():
				if !ok {
					return
				}
				w.handle(e)
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

// watcher is the state of one goroutine.
type watcher struct {
	h       *Host
	serving map[peer.ID]bool // connected, and speaks our protocol
	met     bool
	ready   bool
}

func (w *watcher) handle(e any) {
	switch e := e.(type) {
	case event.EvtPeerIdentificationCompleted:
		w.identified(e)
	case event.EvtPeerProtocolsUpdated:
		switch {
		case w.ours(e.Added):
			w.came(e.Peer, w.h.host.Peerstore().Addrs(e.Peer), nil)
		case w.ours(e.Removed):
			w.h.book.stopped(e.Peer)
			w.went(e.Peer)
		}
	case event.EvtPeerConnectednessChanged:
		if e.Connectedness == network.NotConnected {
			w.went(e.Peer)
		}
	case event.EvtLocalProtocolsUpdated:
		if !w.ready && slices.Contains(e.Added, holepunch.Protocol) {
			w.ready = true
			close(w.h.ready)
		}
	}
}

// ours reports whether our protocol, in any version, is among those named.
func (w *watcher) ours(ids []libprotocol.ID) bool {
	return slices.ContainsFunc(ids, func(p libprotocol.ID) bool { return slices.Contains(w.h.protocols, p) })
}

func (w *watcher) identified(e event.EvtPeerIdentificationCompleted) {
	if !w.ours(e.Protocols) {
		return
	}
	var reached multiaddr.Multiaddr
	if e.Conn != nil && e.Conn.Stat().Direction == network.DirOutbound {
		reached = e.Conn.RemoteMultiaddr()
	}
	w.came(e.Peer, e.ListenAddrs, reached)
	if e.SignedPeerRecord == nil {
		return
	}
	if signed, err := e.SignedPeerRecord.Marshal(); err == nil { // checked by libp2p
		w.h.book.signed(e.Peer, signed)
	}
}

// came notes a connected peer that speaks our protocol.
func (w *watcher) came(p peer.ID, named []multiaddr.Multiaddr, reached multiaddr.Multiaddr) {
	if w.h.gate.public.Load() {
		named = onlyPublic(named)
	}
	w.h.book.serving(p, named, reached, w.h.cfg.Now())
	if !w.h.connected(p) {
		return // and the event that says so has been handled, or is coming
	}
	w.serving[p] = true
	w.h.serving.Store(int64(len(w.serving)))
	if !w.met {
		w.met = true
		close(w.h.met)
	}
}

// went notes that a peer is gone, or no longer serves.
func (w *watcher) went(p peer.ID) {
	if !w.serving[p] {
		return
	}
	w.h.book.spoke(p, w.h.cfg.Now())
	delete(w.serving, p)
	w.h.serving.Store(int64(len(w.serving)))
	if len(w.serving) == 0 {
		w.h.lost.fire()
	}
}
