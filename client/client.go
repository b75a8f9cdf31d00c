package client

import (
	"crypto/rand"
	"io"
	"log/slog"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Config is what a Client needs from outside.
type Config struct {
	Network string           // name
	Net     protocol.Network // how peers are reached
	Owner   *Owner           // the owner's keys and journal; nil: this client only reads
	OwnNode peer.ID          // this owner's own node, drawn last; empty: none
	Rand    io.Reader        // nil: crypto/rand
	Now     func() time.Time // nil: time.Now
	Log     *slog.Logger     // nil: silent
}

// keptEnvelopes is how many peers' records a session remembers as good.
const keptEnvelopes = 1024

// Client puts and gets. It may be used by many goroutines at the same time.
type Client struct {
	cfg    Config
	net    protocol.Network
	pulse  *pulses
	call   *protocol.Caller
	peers  *peers
	log    *slog.Logger
	now    func() time.Time
	rand   io.Reader
	opened *protocol.EnvelopeCache
	found  locator // holders of groups, as this session found them
	drawn  recentDraw
}

// New returns a Client. It starts nothing: the first request dials.
func New(cfg Config) *Client {
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	pulse := newPulses(cfg.Net, cfg.Now)
	c := &Client{
		cfg: cfg, net: cfg.Net, pulse: pulse, call: protocol.NewCaller(pulse), peers: newPeers(cfg.Now),
		log: cfg.Log, now: cfg.Now, rand: cfg.Rand, opened: protocol.NewEnvelopeCache(keptEnvelopes),
	}
	c.found.init(c)
	return c
}

// Close gives up all streams. It closes neither Network nor Owner.
func (c *Client) Close() { c.call.Close() }
