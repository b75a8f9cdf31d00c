package memnet

import (
	"errors"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// Peer is one peer of a network in memory. It implements [protocol.Network].
type Peer struct {
	net   *Net
	cfg   PeerConfig
	key   crypto.PrivKey
	id    peer.ID
	place [32]byte // in the DHT

	relayed bool

	upload, download line

	handlers sync.WaitGroup

	// What follows is guarded by net.mu.
	up       bool
	closed   bool
	downAt   time.Time // when it stopped, if it is not up
	frozen   bool
	thawed   chan struct{} // closed while it is not frozen
	serve    func(protocol.Stream)
	wrap     func(func(protocol.Stream)) func(protocol.Stream)
	backlog  []*end // streams that came while it was frozen
	book     map[peer.ID]*contact
	learned  uint64
	conns    map[peer.ID]struct{}
	streams  map[*pair]struct{}
	opened   map[peer.ID]uint64 // streams tried so far, by target
	envelope protocol.Envelope
}

var _ protocol.Network = (*Peer)(nil)

// Self returns the peer's ID.
func (p *Peer) Self() peer.ID { return p.id }

// Key returns the peer's identity key.
func (p *Peer) Key() crypto.PrivKey { return p.key }

// AddrInfo returns where the peer can be dialled, as a hint for others.
func (p *Peer) AddrInfo() peer.AddrInfo { return peer.AddrInfo{ID: p.id, Addrs: p.addrs()} }

// Envelope returns the peer's signed record, without addresses if it cannot be
// dialled.
func (p *Peer) Envelope() (protocol.Envelope, error) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.envelope == nil {
		e, err := protocol.SealEnvelope(p.key, uint64(time.Now().UnixNano()), p.addrs())
		if err != nil {
			return nil, err
		}
		p.envelope = e
	}
	return p.envelope, nil
}

// EnvelopeOf returns the signed peer record of a connected peer.
func (p *Peer) EnvelopeOf(id peer.ID) protocol.Envelope {
	p.net.mu.Lock()
	q := p.net.peers[id]
	_, connected := p.conns[id]
	p.net.mu.Unlock()
	if q == nil || !connected {
		return nil
	}
	e, err := q.Envelope()
	if err != nil {
		return nil
	}
	return e
}

func (p *Peer) addrs() []multiaddr.Multiaddr {
	if p.cfg.NoListen {
		return nil
	}
	return []multiaddr.Multiaddr{p.cfg.Addr}
}

// Serve sets what answers the streams that others open. It is called in a
// goroutine for each and must end its stream. Before it is set, the peer
// refuses streams.
func (p *Peer) Serve(handler func(protocol.Stream)) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.serve = handler
}

// SetWrapper puts wrap round the handler of streams that come from now on; nil
// takes it away.
func (p *Peer) SetWrapper(wrap func(handler func(protocol.Stream)) func(protocol.Stream)) {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.wrap = wrap
}

// accept hands a stream to the handler; the caller holds net.mu. A frozen peer
// looks at it when it thaws.
func (p *Peer) accept(s *end) {
	if p.frozen {
		p.backlog = append(p.backlog, s)
		return
	}
	h := p.serve
	if p.wrap != nil {
		h = p.wrap(h)
	}
	p.handlers.Go(func() {
		deepen()
		h(s)
	})
}

// deepen makes the goroutine's stack grow once, while there is next to nothing on
// it. Otherwise it grows three times, deep in a request's calls, and each time all
// that is on it is copied: a tenth of the cost of a simulated network.
//
//go:noinline
func deepen() {
	var deep [12 << 10]byte
	touch(&deep)
}

//go:noinline
func touch(*[12 << 10]byte) {}

// Stop makes the peer unreachable immediately, as if its process was killed: its
// streams are reset, new ones refused. It keeps what it knows of other peers.
func (p *Peer) Stop() { p.stop(false) }

// Start makes a stopped peer reachable again; a closed one stays closed.
func (p *Peer) Start() {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.up = !p.closed
}

// Close stops the peer for ever and waits until its handlers have returned. No
// handler may call it.
func (p *Peer) Close() error {
	p.stop(true)
	p.handlers.Wait()
	return nil
}

func (p *Peer) stop(forEver bool) {
	n := p.net
	n.mu.Lock()
	if p.up {
		p.up, p.downAt = false, time.Now()
	}
	p.melt()
	p.backlog = nil
	p.disconnect(func(peer.ID) bool { return true })
	p.bend() // what a freeze held back is free again
	streams := p.streams
	p.streams = make(map[*pair]struct{})
	if forEver && !p.closed {
		p.closed = true
		if n.peers[p.id] == p {
			delete(n.peers, p.id)
		}
	}
	n.mu.Unlock()
	for s := range streams {
		s.kill(p)
	}
}

// Freeze makes a black hole of the peer, as if its process was stopped by a
// signal: streams open, nothing is read, nothing answered, and its own calls
// hang.
func (p *Peer) Freeze() {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	if p.frozen || !p.up {
		return
	}
	p.frozen, p.thawed = true, make(chan struct{})
	p.bend()
}

// Thaw lets a frozen peer go on where it was.
func (p *Peer) Thaw() {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.melt()
	p.bend()
	backlog := p.backlog
	p.backlog = nil
	for _, s := range backlog {
		p.accept(s)
	}
}

func (p *Peer) melt() {
	if p.frozen {
		p.frozen = false
		close(p.thawed)
	}
}

// disconnect forgets connections; the caller holds net.mu.
func (p *Peer) disconnect(which func(peer.ID) bool) {
	for id := range p.conns {
		if !which(id) {
			continue
		}
		delete(p.conns, id)
		if q := p.net.peers[id]; q != nil {
			delete(q.conns, p.id)
		}
	}
}

// errStopped says that this peer itself is stopped or closed.
var errStopped = errors.Join(errors.New("peer is stopped"), net.ErrClosed)
