package memnet

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// dialTimeout is how long a peer dials into nothing before it gives up.
const dialTimeout = 5 * time.Second

// Why a peer cannot be dialled; each comes with protocol.ErrUnreachable.
var (
	errNoAddress = errors.New("no address known")
	errRefused   = errors.New("connection refused")
	errTimeout   = errors.New("dial timed out")
	errLost      = errors.New("connection lost")
	errNoHandler = errors.New("protocol not spoken")
)

// Open opens a stream to a peer that is connected or of which an address is
// known and right. Dialling takes a round trip, and dialTimeout where no answer
// can come back.
func (p *Peer) Open(ctx context.Context, to peer.ID) (protocol.Stream, error) {
	s, err := p.open(ctx, to)
	switch {
	case err == nil:
		return s, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("open stream to %s: %w", protocol.ShortPeer(to), context.Cause(ctx))
	}
	return nil, fmt.Errorf("open stream to %s: %w: %w", protocol.ShortPeer(to), protocol.ErrUnreachable, err)
}

func (p *Peer) open(ctx context.Context, to peer.ID) (*end, error) {
	if err := p.awake(ctx); err != nil {
		return nil, err
	}
	nr, delay, err := p.dial(to)
	if !protocol.Sleep(ctx, delay) {
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	return p.connected(to, nr)
}

// dial decides how long it takes to connect, and with what outcome.
func (p *Peer) dial(to peer.ID) (nr uint64, delay time.Duration, err error) {
	n := p.net
	n.mu.Lock()
	defer n.mu.Unlock()
	if !p.up {
		return 0, 0, errStopped
	}
	nr = p.opened[to]
	p.opened[to]++
	if _, ok := p.conns[to]; ok {
		return nr, 0, nil
	}
	c := p.book[to]
	if c == nil || len(c.addrs) == 0 || to == p.id {
		return nr, 0, errNoAddress
	}
	if n.cut(p.id, to) || n.cut(to, p.id) {
		return nr, dialTimeout, errTimeout
	}
	roundTrip := n.link(p.id, to).Latency + n.link(to, p.id).Latency
	q := n.peers[to]
	if q == nil || !q.up || q.cfg.NoListen || !slices.ContainsFunc(c.addrs, q.cfg.Addr.Equal) {
		return nr, roundTrip, errRefused
	}
	return nr, roundTrip, nil
}

// connected makes the stream, if the world is still as it was when dialled.
func (p *Peer) connected(to peer.ID, nr uint64) (*end, error) {
	n := p.net
	n.mu.Lock()
	defer n.mu.Unlock()
	q := n.peers[to]
	out, back := n.link(p.id, to), n.link(to, p.id)
	var chance *rand.Rand // nil: nothing is left to it
	if out.random() || back.random() {
		chance = n.chance(p.id, to, nr)
	}
	switch {
	case !p.up:
		return nil, errStopped
	case q == nil || !q.up:
		return nil, errRefused
	case q.serve == nil:
		return nil, errNoHandler
	case chance != nil && chance.Float64() < out.Loss || n.cut(p.id, to) || n.cut(to, p.id):
		return nil, errLost
	}
	n.connect(p, q)
	s := newPair(p, q, chance, out, back)
	p.streams[s], q.streams[s] = struct{}{}, struct{}{}
	n.bend(s)
	q.accept(&s.ends[1])
	return &s.ends[0], nil
}

// awake waits while this peer is frozen.
func (p *Peer) awake(ctx context.Context) error {
	p.net.mu.Lock()
	thawed := p.thawed
	p.net.mu.Unlock()
	select {
	case <-thawed:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}
