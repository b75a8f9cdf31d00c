package p2p

import (
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/network"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/multiformats/go-multiaddr"
)

// portMapper asks the router to open this peer's port (UPnP, NAT-PMP), but only
// once a peer was seen at a public address: a network at home, or on one
// machine, needs no port open to the internet. libp2p's manager does the work,
// searches for ten seconds at most, and gives the mapping back at the end.
type portMapper struct {
	net   network.Network
	start func(network.Network) basichost.NATManager

	mu      sync.Mutex
	manager basichost.NATManager // nil: not begun; guarded by mu
	closed  bool                 // guarded by mu
}

var _ basichost.NATManager = (*portMapper)(nil)

// begin starts to ask the router. A nil mapper never does.
func (m *portMapper) begin() {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.manager == nil && !m.closed {
		m.manager = m.start(m.net)
	}
}

func (m *portMapper) current() basichost.NATManager {
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.manager
}

// mapped reports whether the router opened a port.
func (m *portMapper) mapped() bool {
	return m != nil && slices.ContainsFunc(m.net.ListenAddresses(), func(a multiaddr.Multiaddr) bool { return m.GetMapping(a) != nil })
}

// GetMapping returns the router's address that leads to a listening one, or nil.
func (m *portMapper) GetMapping(a multiaddr.Multiaddr) multiaddr.Multiaddr {
	if now := m.current(); now != nil {
		return now.GetMapping(a)
	}
	return nil
}

// HasDiscoveredNAT reports whether a router answered.
func (m *portMapper) HasDiscoveredNAT() bool {
	now := m.current()
	return now != nil && now.HasDiscoveredNAT()
}

// Close gives mappings back.
func (m *portMapper) Close() error {
	m.mu.Lock()
	now := m.manager
	m.closed = true
	m.mu.Unlock()
	if now != nil {
		return now.Close()
	}
	return nil
}
