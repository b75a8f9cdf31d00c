package client

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// pulses is a network that notes when bytes last went to or came from each peer,
// to tell a holder that is slow from one that has stopped.
type pulses struct {
	protocol.Network
	now  func() time.Time
	mu   sync.Mutex
	last map[peer.ID]time.Time
}

func newPulses(n protocol.Network, now func() time.Time) *pulses {
	return &pulses{Network: n, now: now, last: make(map[peer.ID]time.Time)}
}

// Open opens a stream whose traffic is noted.
func (p *pulses) Open(ctx context.Context, to peer.ID) (protocol.Stream, error) {
	s, err := p.Network.Open(ctx, to)
	if err != nil {
		return nil, err
	}
	p.note(to, 1)
	return &pulseStream{s, p, to}, nil
}

// since returns when bytes last moved between a peer and this one; zero: never.
func (p *pulses) since(id peer.ID) time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last[id]
}

func (p *pulses) note(id peer.ID, n int) {
	if n <= 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last[id] = p.now()
}

type pulseStream struct {
	protocol.Stream
	pulses *pulses
	peer   peer.ID
}

func (s *pulseStream) Read(b []byte) (int, error) {
	n, err := s.Stream.Read(b)
	s.pulses.note(s.peer, n)
	return n, err
}

func (s *pulseStream) Write(b []byte) (int, error) {
	n, err := s.Stream.Write(b)
	s.pulses.note(s.peer, n)
	return n, err
}
