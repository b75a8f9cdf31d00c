package p2p

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// crowdControl adds to libp2p's resource manager what that cannot count: what
// the peers of one origin have open together. libp2p limits single peers, whose
// IDs are free, single addresses, and the total. Without more, one address with a
// few dozen identities could take all streams there are, and a peer that opens
// streams and says nothing on them could take all the room for streams whose
// protocol is not known yet. Only what others open is counted.
type crowdControl struct {
	network.ResourceManager
	shaking *tally // connections that are not authenticated
	mute    *tally // streams whose protocol is not known yet
	streams *tally
	pace    *protocol.Pace[peer.ID] // of opening streams

	mu   sync.Mutex
	seen map[peer.ID][]origin // of its connections, the newest last; guarded by mu
}

func newCrowdControl(m network.ResourceManager) *crowdControl {
	return &crowdControl{
		ResourceManager: m,
		shaking:         newTally(maxHandshakes, maxOriginHandshakes, math.MaxInt), // no peer is known yet
		mute:            newTally(maxMute, maxOriginMute, maxPeerMute),
		streams:         newTally(maxStreams, maxOriginStreams, maxPeerStreams),
		seen:            make(map[peer.ID][]origin),
		pace:            protocol.NewPace[peer.ID](streamRate, streamBurst, maxPaced),
	}
}

// OpenConnection counts a connection by its origin until the peer is known.
func (c *crowdControl) OpenConnection(dir network.Direction, fd bool, at multiaddr.Multiaddr) (network.ConnManagementScope, error) {
	if dir != network.DirInbound {
		return c.ResourceManager.OpenConnection(dir, fd, at)
	}
	from := originOf(at)
	known, ok := c.shaking.enter("", from)
	if !ok {
		return nil, fmt.Errorf("connection from %s: %w", at, network.ErrResourceLimitExceeded)
	}
	s, err := c.ResourceManager.OpenConnection(dir, fd, at)
	if err != nil {
		known()
		return nil, err
	}
	return &crowdConn{ConnManagementScope: s, c: c, from: from, known: known}, nil
}

// OpenStream counts a stream that a peer opens by the peer's origin.
func (c *crowdControl) OpenStream(p peer.ID, dir network.Direction) (network.StreamManagementScope, error) {
	if dir != network.DirInbound {
		return c.ResourceManager.OpenStream(p, dir)
	}
	// Each new stream costs this peer some 100 µs; a request on an open one does not.
	if !c.pace.Take(p, 1, time.Now()) {
		return nil, fmt.Errorf("stream of %s: too many a second: %w", p, network.ErrResourceLimitExceeded)
	}
	from := c.originOf(p)
	gone, ok := c.streams.enter(p, from)
	if !ok {
		return nil, fmt.Errorf("stream of %s: %w", p, network.ErrResourceLimitExceeded)
	}
	spoke, ok := c.mute.enter(p, from)
	if !ok {
		gone()
		return nil, fmt.Errorf("stream of %s: %w", p, network.ErrResourceLimitExceeded)
	}
	s, err := c.ResourceManager.OpenStream(p, dir)
	if err != nil {
		spoke()
		gone()
		return nil, err
	}
	return &crowdStream{s, spoke, gone}, nil
}

// originOf returns the origin of a peer's newest connection.
func (c *crowdControl) originOf(p peer.ID) origin {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all := c.seen[p]; len(all) > 0 {
		return all[len(all)-1]
	}
	return origin{} // of a connection that this peer opened
}

// met notes where a peer is seen. gone takes it back.
func (c *crowdControl) met(p peer.ID, at origin) (gone func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen[p] = append(c.seen[p], at)
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		all := c.seen[p]
		for i := range all {
			if all[i] == at {
				all = append(all[:i:i], all[i+1:]...)
				break
			}
		}
		if c.seen[p] = all; len(all) == 0 {
			delete(c.seen, p)
		}
	})
}

// crowdConn is a connection that another peer opened.
type crowdConn struct {
	network.ConnManagementScope
	c     *crowdControl
	from  origin
	known func()

	mu   sync.Mutex
	done bool   // guarded by mu
	gone func() // once the peer is known; guarded by mu
}

// SetPeer notes that the peer is known.
func (s *crowdConn) SetPeer(p peer.ID) error {
	if err := s.ConnManagementScope.SetPeer(p); err != nil {
		return err
	}
	s.known()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.done && s.gone == nil {
		s.gone = s.c.met(p, s.from)
	}
	return nil
}

// Done ends the connection.
func (s *crowdConn) Done() {
	s.ConnManagementScope.Done()
	s.known()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done = true; s.gone != nil {
		s.gone()
	}
}

// crowdStream is a stream that another peer opened.
type crowdStream struct {
	network.StreamManagementScope
	spoke, gone func()
}

// SetProtocol notes that the stream's protocol is known.
func (s *crowdStream) SetProtocol(id libprotocol.ID) error {
	if err := s.StreamManagementScope.SetProtocol(id); err != nil {
		return err
	}
	s.spoke()
	return nil
}

// Done ends the stream.
func (s *crowdStream) Done() {
	s.StreamManagementScope.Done()
	s.spoke()
	s.gone()
}
