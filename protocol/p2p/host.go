package p2p

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// Host is a peer on a network: a protocol.Network over libp2p.
type Host struct {
	cfg       Config
	log       *slog.Logger
	host      host.Host
	protocols []libprotocol.ID // of our streams, the highest first
	gate      *gate
	book      *book
	dht       *dht.IpfsDHT
	records   *records
	inbound   inbound
	table     *signal // the routing table changed
	public    *signal // the network turned out to be public
	announcer *announcer
	mdns      *localSearch

	reach      reachState
	relayMeter *relayMeter
	ports      *portMapper // nil: no router is asked
	punched    punchCount
	moved      sought
	punching   bool          // it has ports to punch holes from
	ready      chan struct{} // closed once it can answer a peer that punches a hole
	started    time.Time

	envelope envelopeCache
	serving  atomic.Int64 // peers connected that speak our protocol
	dialling atomic.Int64 // remembered peers that are being dialled

	met   chan struct{} // closed once a peer that speaks our protocol was met
	tried chan struct{} // closed once every known peer was tried
	lost  *signal       // the last peer that speaks our protocol is gone

	stop   context.CancelFunc
	wg     sync.WaitGroup
	closed sync.Once
}

var _ protocol.Network = (*Host)(nil)

// New starts a peer: it listens, begins to dial the peers that it remembers
// and those of cfg.Bootstrap, and returns without waiting for them; Wait tells
// when one was met. It returns ErrPortTaken when a port to listen at is not free. The
// Host outlives ctx; Close ends it.
func New(ctx context.Context, cfg Config) (*Host, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("start peer: %w", err)
	}
	adoptLogs(cfg.Log)
	h := &Host{
		cfg: cfg, log: cfg.Log, book: newBook(), table: newSignal(), lost: newSignal(), public: newSignal(),
		met: make(chan struct{}), tried: make(chan struct{}), ready: make(chan struct{}), started: time.Now(),
		inbound: inbound{ready: make(chan struct{})},
	}
	h.gate = &gate{sure: h.book.isSure, hints: newDialBudget(), now: cfg.Now, log: cfg.Log}
	for v := cfg.Version; v > 0; v-- {
		h.protocols = append(h.protocols, libprotocol.ID(protocol.StreamProtocol(cfg.Network, v)))
	}
	if err := h.remember(); err != nil {
		h.log.Warn("peers of former times are forgotten", "error", err)
	}
	if err := h.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start peer: %w", err), h.Close())
	}
	return h, nil
}

// remember fills the book from the file and the configuration.
func (h *Host) remember() error {
	for _, b := range h.cfg.Bootstrap {
		h.book.trust(b, true)
	}
	if h.cfg.Book == "" {
		return nil
	}
	return h.book.load(h.cfg.Book)
}

// start builds the parts of a Host. If it fails, Close frees those already built.
func (h *Host) start(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	h.punching = h.punches()
	opts, err := h.options()
	if err != nil {
		return err
	}
	if h.host, err = libp2p.New(opts...); err != nil {
		return err
	}
	running, stop := context.WithCancel(context.Background())
	h.stop = stop
	h.host.Network().Notify(&network.NotifyBundle{
		ConnectedF: func(_ network.Network, c network.Conn) { h.saw(c.RemoteMultiaddr()) },
	})
	if err := h.watch(running); err != nil {
		return err
	}
	// Before the first connection: it sets the routing table's callbacks.
	if err := h.startDHT(); err != nil {
		return err
	}
	if h.announcer, err = newAnnouncer(h); err != nil {
		return err
	}
	if h.cfg.Server {
		h.offer(running)
	}
	if err := h.listen(); err != nil {
		return err
	}
	h.openPunchPorts()
	if h.cfg.Server {
		if err := h.watchReach(running); err != nil {
			return err
		}
	}
	h.wg.Go(func() { h.announcer.run(running) })
	h.wg.Go(func() { h.join(running) })
	h.wg.Go(func() { h.keepBook(running) })
	if h.cfg.MDNS {
		h.mdns = h.searchLocally(running)
	}
	return nil
}

// Close ends all streams and connections, saves the book and frees ports,
// goroutines and descriptors.
func (h *Host) Close() error {
	var err error
	h.closed.Do(func() { err = h.close() })
	return err
}

func (h *Host) close() error {
	var errs []error
	if h.stop != nil {
		h.stop()
	}
	if h.mdns != nil {
		h.mdns.close()
	}
	if h.announcer != nil {
		h.announcer.close()
	}
	if h.dht != nil {
		errs = append(errs, h.dht.Close())
	}
	if h.host != nil {
		errs = append(errs, h.host.Close())
	}
	h.wg.Wait()
	if h.cfg.Book != "" {
		errs = append(errs, h.book.save(h.cfg.Book))
	}
	return errors.Join(errs...)
}

// Self returns this peer's own ID.
func (h *Host) Self() peer.ID { return h.host.ID() }

// Addrs returns the addresses at which this peer believes it can be dialled,
// at most protocol.MaxEnvelopeAddrs, each ending in /p2p/ID. It has none while
// it listens nowhere.
func (h *Host) Addrs() []multiaddr.Multiaddr { return withID(h.Self(), h.ownAddrs()) }

func (h *Host) ownAddrs() []multiaddr.Multiaddr {
	return presentable(h.host.Addrs(), h.cfg.Listen, h.gate.public.Load())
}

// connected reports whether a peer is connected, directly or through a relay.
func (h *Host) connected(p peer.ID) bool {
	c := h.host.Network().Connectedness(p)
	return c == network.Connected || c == network.Limited
}

// Peers returns how many peers are connected that speak our protocol.
func (h *Host) Peers() int { return int(h.serving.Load()) }

// Public reports whether this is a public network: whether a peer was seen at
// a public address. Until then, rules on dialling and diversity do not apply.
func (h *Host) Public() bool { return h.gate.public.Load() }

// RemoteAddr returns the address at which a connected peer is seen, and
// whether it is reached through a relay only.
func (h *Host) RemoteAddr(p peer.ID) (addr multiaddr.Multiaddr, viaRelay, connected bool) {
	for _, c := range h.host.Network().ConnsToPeer(p) {
		if a := c.RemoteMultiaddr(); addr == nil || viaRelay {
			addr, viaRelay = a, relayed(a)
		}
	}
	return addr, viaRelay, addr != nil
}

// Shun ends all connections to a peer and lets it open none before until. This
// peer may still open one itself.
func (h *Host) Shun(p peer.ID, until time.Time) {
	h.gate.shun(p, until)
	if err := h.host.Network().ClosePeer(p); err != nil {
		h.log.Debug("connection to a shunned peer", "peer", p, "error", err)
	}
}

// Learn remembers addresses of a peer for half an hour. They are hints.
func (h *Host) Learn(info peer.AddrInfo) {
	if info.ID == h.Self() || protocol.CheckPeer(info.ID) != nil {
		return
	}
	addrs := info.Addrs[:min(len(info.Addrs), protocol.MaxEnvelopeAddrs)]
	h.host.Peerstore().AddAddrs(info.ID, addrs, hintTTL)
}

// Known returns the peers that serve: first those connected, then those
// remembered, the most recently spoken to first.
func (h *Host) Known() []peer.ID {
	var here, away []peer.ID
	for _, p := range h.book.peers() {
		if h.connected(p) {
			here = append(here, p)
		} else {
			away = append(away, p)
		}
	}
	return append(here, away...)
}
