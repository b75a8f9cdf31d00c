package protocol

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"iter"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
)

// Network is all that owners and nodes know of the world. Every address given to it
// is only a hint; a peer that answers is authenticated by its ID.
type Network interface {
	// Self returns this peer's own ID.
	Self() peer.ID

	// Envelope returns this peer's own signed peer record, with the addresses
	// at which it believes that it can be dialled.
	Envelope() (Envelope, error)

	// EnvelopeOf returns the newest signed peer record that a connected peer
	// gave of itself; nil: it gave none.
	EnvelopeOf(peer.ID) Envelope

	// Open opens a stream to a peer, dialling it at any address known. It
	// returns ErrUnreachable, with the cause, when no address works.
	Open(ctx context.Context, to peer.ID) (Stream, error)

	// Learn remembers addresses of a peer. They are dialled only if the
	// network's rules on hints allow it (SPEC.md, Dialling).
	Learn(peer.AddrInfo)

	// Known returns the peers that this one is connected to or remembers,
	// the most recently spoken to first.
	Known() []peer.ID

	// RemoteAddr returns the address at which a connected peer is seen, and
	// whether it is reached through a relay only.
	RemoteAddr(peer.ID) (addr multiaddr.Multiaddr, relayed, connected bool)

	// Closest looks up a random or given key in the DHT and returns the peers
	// closest to it.
	Closest(ctx context.Context, key Key) ([]peer.ID, error)

	// Announce keeps this peer announced in the DHT as a provider of keys,
	// until Withdraw. A key that is announced already costs nothing.
	Announce(keys ...Key) error

	// Withdraw stops announcing keys.
	Withdraw(keys ...Key) error

	// Providers yields the peers that claim to provide key, each once, as
	// they are found. The sequence ends when the lookup is exhausted or ctx
	// is done. Claims are unverified.
	Providers(ctx context.Context, key Key) iter.Seq[peer.ID]
}

// ErrUnreachable says that a peer cannot be dialled at any address known.
var ErrUnreachable = errors.New("peer unreachable")

// Stream is an ordered, encrypted byte stream to one authenticated peer.
type Stream interface {
	io.Reader
	io.Writer
	// Close closes both directions without losing what was written.
	Close() error
	// Reset ends both directions immediately; the peer sees an error.
	Reset() error
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
	// Remote says who is at the other end.
	Remote() Remote
}

// Remote is the other end of a stream, as the connection shows it.
type Remote struct {
	Peer    peer.ID
	Addr    multiaddr.Multiaddr // as seen here; nil when the transport shows none
	Relayed bool
}

// Key is what the DHT is asked for: the SHA-256 digest whose multihash is the
// provider key (SPEC.md, Finding).
type Key [32]byte

// FindKey returns the key under which a group's members announce themselves.
func FindKey(g GroupPrefix) Key {
	h := sha256.New()
	h.Write([]byte("cairn/group/"))
	h.Write(g[:])
	return Key(h.Sum(nil))
}

// StreamProtocol returns the libp2p protocol ID of version v on a network.
func StreamProtocol(network string, v int) string {
	return "/cairn/" + network + "/" + strconv.Itoa(v)
}
