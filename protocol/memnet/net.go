package memnet

import (
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// Config says how a network behaves where nothing more special is set.
type Config struct {
	Seed    uint64        // of all keys and all chance
	Latency time.Duration // one way
	Jitter  time.Duration // at most this much more, drawn for each segment
	Rate    int64         // bytes a second of each peer, up and down separately; 0: unlimited
	Loss    float64       // probability that an Open fails, and that a stream breaks midway
}

// Net is a network in memory. Its methods may be called at any time by many
// goroutines.
type Net struct {
	cfg Config

	mu     sync.Mutex // never held while waiting; before pair.mu where both are
	peers  map[peer.ID]*Peer
	made   uint32 // peers ever made
	tick   uint64 // counts conversations, to tell the latest
	links  map[direction]Link
	rule   func(from, to peer.ID) (Link, bool) // nil: none
	part   map[peer.ID]int                     // partition by peer; nil: whole
	claims map[protocol.Key][]*claim
	forged map[protocol.Key][]peer.ID
	silent bool
}

type direction struct{ from, to peer.ID }

// New returns a network without peers.
func New(cfg Config) *Net {
	return &Net{
		cfg:    cfg,
		peers:  make(map[peer.ID]*Peer),
		links:  make(map[direction]Link),
		claims: make(map[protocol.Key][]*claim),
		forged: make(map[protocol.Key][]peer.ID),
	}
}

// PeerConfig says what a peer is.
type PeerConfig struct {
	Seed      [ed25519.SeedSize]byte // of its identity; zero: drawn from the network's seed
	Addr      multiaddr.Multiaddr    // as others see it, perhaps through a relay; nil: an address of its own in 10.0.0.0/8
	Server    bool                   // serves the DHT: nodes do, clients do not
	NoListen  bool                   // cannot be dialled, only dial
	Rate      int64                  // bytes a second, up and down separately; 0: the network's
	Bootstrap []peer.AddrInfo        // known from the start
}

// Peer adds a peer. One that has the identity of an earlier peer takes its
// place, as after a restart: close the earlier one first.
func (n *Net) Peer(cfg PeerConfig) *Peer {
	n.mu.Lock()
	n.made++
	nr := n.made
	n.mu.Unlock()
	if cfg.Seed == [ed25519.SeedSize]byte{} {
		cfg.Seed = n.sum("key", uint64(nr))
	}
	if cfg.Addr == nil {
		cfg.Addr = multiaddr.StringCast(fmt.Sprintf("/ip4/10.%d.%d.%d/tcp/4401", byte(nr>>16), byte(nr>>8), byte(nr)))
	}
	if cfg.Rate == 0 {
		cfg.Rate = n.cfg.Rate
	}
	key, id := identity(cfg.Seed)
	p := &Peer{
		net: n, cfg: cfg, key: key, id: id, place: dhtPlace(id), relayed: isCircuit(cfg.Addr), up: true, thawed: closedChan(),
		book: make(map[peer.ID]*contact), conns: make(map[peer.ID]struct{}),
		streams: make(map[*pair]struct{}), opened: make(map[peer.ID]uint64),
	}
	for _, b := range cfg.Bootstrap {
		p.Learn(b)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.peers[id] = p
	return p
}

// identity never fails: any seed of that length makes a key.
func identity(seed [ed25519.SeedSize]byte) (crypto.PrivKey, peer.ID) {
	key, err := crypto.UnmarshalEd25519PrivateKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		panic(err)
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		panic(err)
	}
	return key, id
}

// Close closes all peers and waits for their handlers.
func (n *Net) Close() error {
	n.mu.Lock()
	all := make([]*Peer, 0, len(n.peers))
	for _, p := range n.peers {
		all = append(all, p)
	}
	n.mu.Unlock()
	for _, p := range all {
		_ = p.Close()
	}
	return nil
}

// sum derives bytes from the seed, for one purpose and number.
func (n *Net) sum(purpose string, nr uint64) [32]byte {
	b := binary.BigEndian.AppendUint64(nil, n.cfg.Seed)
	b = binary.BigEndian.AppendUint64(b, nr)
	return protocol.Sum(append(b, purpose...))
}

// chance returns the random source of the nr-th stream between two peers.
func (n *Net) chance(from, to peer.ID, nr uint64) *rand.Rand {
	s := n.sum(string(from)+"/"+string(to), nr)
	return rand.New(rand.NewPCG(binary.BigEndian.Uint64(s[:]), binary.BigEndian.Uint64(s[8:])))
}

func closedChan() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}
