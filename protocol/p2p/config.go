package p2p

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairnstore/cairn/protocol"
)

// Whether a node can be dialled from the outside.
const (
	PublicAuto = "auto" // a server until found unreachable
	PublicYes  = "yes"  // the user says that it can
	PublicNo   = "no"   // the user says that it cannot
)

// Config is what a Host needs of the world.
type Config struct {
	// Network is the network's name (protocol.CheckNetworkName).
	Network string
	// Version is the greatest protocol version offered, with all below it; 0
	// stands for protocol.Version.
	Version int
	// Key is the identity, Ed25519; nil: a fresh one.
	Key crypto.PrivKey
	// Listen are the addresses to listen at; none: not at all. Port 0 takes
	// any free one.
	Listen []multiaddr.Multiaddr
	// Server makes this peer a server of the DHT, as nodes are.
	Server bool
	// Public is PublicAuto, PublicYes or PublicNo; empty: PublicAuto. It
	// concerns servers only.
	Public string
	// PortMap lets a server whose Public is PublicAuto ask the router to open
	// its port, once a peer has been seen at a public address.
	PortMap bool
	// Bootstrap are peers to begin with. They may lie in private ranges.
	Bootstrap []peer.AddrInfo
	// Book is the file in which peers are remembered over a restart; empty:
	// they are forgotten.
	Book string
	// MDNS finds peers on the local network and, where this one listens, lets
	// them find it.
	MDNS bool
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Log is where events are told; nil: nowhere.
	Log *slog.Logger
	// Registerer gathers libp2p's metrics; nil: none are kept.
	Registerer prometheus.Registerer

	// For tests with a simulated transport:
	options []libp2p.Option
	probe   func(multiaddr.Multiaddr) error
}

// withDefaults checks a configuration and fills what was left open.
func (c Config) withDefaults() (Config, error) {
	if err := protocol.CheckNetworkName(c.Network); err != nil {
		return c, err
	}
	if c.Version == 0 {
		c.Version = protocol.Version
	}
	if c.Version < 0 {
		return c, fmt.Errorf("protocol version %d", c.Version)
	}
	switch c.Public {
	case "":
		c.Public = PublicAuto
	case PublicAuto, PublicYes, PublicNo:
	default:
		return c, fmt.Errorf("public %q is none of auto, yes and no", c.Public)
	}
	if c.Key == nil {
		key, _, err := crypto.GenerateEd25519Key(rand.Reader)
		if err != nil {
			return c, err
		}
		c.Key = key
	}
	if c.Key.Type() != crypto.Ed25519 {
		return c, errors.New("the identity is no Ed25519 key")
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.probe == nil {
		c.probe = probe
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}
