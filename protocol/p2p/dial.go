package p2p

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/transport"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
	"github.com/libp2p/go-libp2p/p2p/transport/tcpreuse"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// A port at which nobody listens refuses TCP immediately but is silent over QUIC.
// What follows keeps the silence from hiding the refusal, so that a dead peer is
// given up in milliseconds on the same machine or local network, and in
// quicTimeout elsewhere.
const (
	quicTimeout      = 3 * time.Second // a handshake is one round trip
	quicTimeoutLocal = time.Second
	refusedFor       = 5 * time.Second
	maxRefusals      = 1024
)

var errRefused = errors.New("refused over TCP")

// windowsRefused is what Windows says of a port at which nobody listens
// (WSAECONNREFUSED).
const windowsRefused = syscall.Errno(10061)

// refusals remembers for some seconds which peers refused TCP at which IP.
type refusals struct {
	now func() time.Time
	mu  sync.Mutex
	at  map[refuser]time.Time // guarded by mu
}

type refuser struct {
	peer peer.ID
	ip   netip.Addr
}

func newRefusals(now func() time.Time) *refusals {
	return &refusals{now: now, at: make(map[refuser]time.Time)}
}

// note remembers that a TCP dial was refused, or reset, as by a node that is just
// stopping.
func (r *refusals) note(p peer.ID, a multiaddr.Multiaddr, err error) {
	ip, ok := addrIP(a)
	if !ok || !isRefusal(err) {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.at) >= maxRefusals {
		clear(r.at)
	}
	r.at[refuser{p, ip}] = r.now()
}

func isRefusal(err error) bool {
	for _, no := range [...]error{syscall.ECONNREFUSED, windowsRefused, syscall.ECONNRESET, io.EOF} {
		if errors.Is(err, no) {
			return true
		}
	}
	return false
}

// refused reports whether a peer's address just refused TCP.
func (r *refusals) refused(p peer.ID, a multiaddr.Multiaddr) bool {
	ip, ok := addrIP(a)
	if !ok {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.at[refuser{p, ip}]
	return ok && r.now().Sub(at) < refusedFor
}

// tcpTransport is libp2p's, and notes refusals.
type tcpTransport struct {
	*tcp.TcpTransport
	refusals *refusals
}

// newTCP returns a constructor in the form that libp2p.Transport takes.
func newTCP(r *refusals) any {
	return func(u transport.Upgrader, m network.ResourceManager, shared *tcpreuse.ConnMgr) (transport.Transport, error) {
		t, err := tcp.NewTCPTransport(u, m, shared)
		if err != nil {
			return nil, err
		}
		return &tcpTransport{t, r}, nil
	}
}

// Dial connects to a peer.
func (t *tcpTransport) Dial(ctx context.Context, a multiaddr.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	return t.DialWithUpdates(ctx, a, p, nil)
}

// DialWithUpdates connects to a peer and reports its progress.
func (t *tcpTransport) DialWithUpdates(ctx context.Context, a multiaddr.Multiaddr, p peer.ID, tell chan<- transport.DialUpdate) (transport.CapableConn, error) {
	c, err := t.TcpTransport.DialWithUpdates(ctx, a, p, tell)
	if err != nil {
		t.refusals.note(p, a, err)
		return nil, err
	}
	return c, nil
}

// quicTransport is libp2p's with shorter timeouts.
type quicTransport struct {
	transport.Transport
	refusals *refusals
}

// newQUIC returns a constructor in the form that libp2p.Transport takes.
func newQUIC(r *refusals) any {
	return func(key crypto.PrivKey, cm *quicreuse.ConnManager, psk pnet.PSK, g connmgr.ConnectionGater, m network.ResourceManager) (transport.Transport, error) {
		t, err := quic.NewTransport(key, cm, psk, g, m)
		if err != nil {
			return nil, err
		}
		return &quicTransport{t, r}, nil
	}
}

// Dial connects to a peer.
func (t *quicTransport) Dial(ctx context.Context, a multiaddr.Multiaddr, p peer.ID) (transport.CapableConn, error) {
	if punching, _, _ := network.GetSimultaneousConnect(ctx); punching {
		return t.Transport.Dial(ctx, a, p) // through a NAT: it has a timeout of its own
	}
	patience := quicTimeout
	if !manet.IsPublicAddr(a) {
		if t.refusals.refused(p, a) {
			return nil, errRefused
		}
		patience = quicTimeoutLocal
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return t.Transport.Dial(ctx, a, p)
}

// Close releases what libp2p's transport holds.
func (t *quicTransport) Close() error {
	if c, ok := t.Transport.(io.Closer); ok {
		return c.Close()
	}
	return nil
}
