package node

import (
	"context"

	"github.com/cairnstore/cairn/node/donors"
	"github.com/cairnstore/cairn/node/gate"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/node/truth"

	crand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Config is what a Node needs of the world.
type Config struct {
	Network  string           // name
	Agent    string           // program and version, as Info tells them; at most 64 bytes
	Net      protocol.Network // how peers are reached
	Store    storage.Store    // the donated disk; the caller closes it
	Donated  int64            // bytes given; the store's quota bounds them as well
	Accepts  protocol.Accepts // whose segments are taken; empty: open
	Caps     quota.Caps       // what newcomers may fill; zero fields take the defaults
	Limits   gate.Limits      // what may be under way at once; zero fields take the defaults
	Scrub    ScrubConfig      // how the disk is read over; zero fields take the defaults
	NoRepair bool             // nothing is repaired: for experiments
	Key      crypto.PrivKey   // of Net's identity: the node signs its slots over with it; nil: it cannot
	// Contract is what the donor asks for besides the disk; the zero value asks
	// for nothing.
	Contract ContractConfig
	Timing   Timing // how long what it does on its own takes; zero fields take the defaults

	// Reach tells how others reach this node, where the transport knows; nil:
	// guessed from the node's own addresses.
	Reach func() Reachability
	// Opened remembers which peer records are good: nodes of one process may
	// share it; nil: one of its own.
	Opened *protocol.EnvelopeCache
	// Stores tells of each donated folder for Status; nil: one row, without
	// a name.
	Stores func() []StoreStatus

	Now func() time.Time // nil: time.Now
	// Mono is a clock of this run that is never set, by which neighbours'
	// silence is measured; nil: the system's, or Now's course where Now is given.
	Mono func() time.Duration
	Rand *rand.Rand   // nil: seeded by the system
	Log  *slog.Logger // nil: silent
}

// Node holds shards for others. It implements protocol.Handler and may be used
// by many goroutines at once.
type Node struct {
	cfg     Config
	self    peer.ID
	store   storage.Store
	log     *slog.Logger
	now     func() time.Time
	started time.Time
	rand    lockedRand

	entropy io.Reader // unpredictable: halves of challenges come from it

	// The others.
	caller   *protocol.Caller
	opened   *protocol.EnvelopeCache
	donors   *donors.Known
	announce *announcer
	presence presence

	// What is let in, and how much of it.
	deal     *dealing
	gate     *gate.Gate
	quota    *quota.Ledger
	buffers  gate.Buffers
	strikes  *strikes
	visits   *visits
	answers  *answers
	count    counters
	underWay atomic.Int64 // requests

	// What is held.
	groups   *truth.Cache
	frees    *frees
	leases   *leases
	scrub    *scrubber
	mending  *mending
	loans    *loans
	verdicts *verdicts

	// The co-members.
	neighbours *neighbours.Register
	exchange   *exchanger
	revisits   *revisits
	pendings   *pendings
	repairs    *repairs
	verified   *rests[storage.ShardKey] // shards that were read because they were put again
	stalls     *rests[peer.ID]          // peers that stalled while they were to give or take a shard
	nominees   *nominees
	entering   *entering

	// Leaving, and slots that leaving nodes hand over to this one.
	handovers  *handovers
	handings   *handings
	drain      *drainer
	successors successors // takes over what a draining node keeps; nil: nobody can
}

var _ protocol.Handler = (*Node)(nil)

// keptEnvelopes is how many peers' records a node remembers as good: of those
// that it tells askers of, and of those that it is told of.
const keptEnvelopes = 1024

var errConfig = errors.New("incomplete configuration")

// New returns a Node over a store, which it surveys: what its groups take, what
// waits to be freed, what is to be announced. It starts nothing; Run does.
func New(cfg Config) (*Node, error) {
	if cfg.Net == nil || cfg.Store == nil || cfg.Donated < 0 {
		return nil, fmt.Errorf("start node: %w", errConfig)
	}
	if cfg.Key != nil && !cfg.Net.Self().MatchesPrivateKey(cfg.Key) {
		return nil, fmt.Errorf("start node: %w: the key is not that of %s", errConfig, cfg.Net.Self())
	}
	if err := protocol.CheckNetworkName(cfg.Network); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	fillDefaults(&cfg)
	deal, err := newDealing(cfg.Contract, cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	n := &Node{
		cfg: cfg, self: cfg.Net.Self(), store: cfg.Store, log: cfg.Log, now: cfg.Now, started: cfg.Now(),
		rand:     lockedRand{r: cfg.Rand},
		entropy:  crand.Reader,
		opened:   cfg.Opened,
		caller:   protocol.NewCaller(deal.line.Net(cfg.Net)),
		donors:   donors.New(),
		announce: newAnnouncer(),

		deal:    deal,
		gate:    gate.New(cfg.Limits, deal.line.Slowest(gate.CrowdedRate), cfg.Now),
		quota:   quota.New(cfg.Caps, cfg.Donated),
		strikes: newStrikes(),
		visits:  newVisits(),
		answers: newAnswers(),

		frees:    newFrees(),
		leases:   newLeases(cfg.Timing.Lease, cfg.Mono),
		scrub:    newScrubber(cfg.Scrub, cfg.Timing),
		mending:  newMending(cfg.Timing),
		loans:    newLoans(cfg.Timing),
		verdicts: newVerdicts(),

		exchange: newExchanger(),
		revisits: newRevisits(),
		pendings: newPendings(),
		repairs:  newRepairs(cfg.Limits.Body / 2),
		stalls:   newRests[peer.ID](),
		verified: newRests[storage.ShardKey](),
		nominees: newNominees(),
		entering: newEntering(),

		handovers: newHandovers(),
		handings:  newHandings(),
		drain:     newDrainer(),
	}
	if cfg.Key != nil {
		n.successors = &succession{Node: n, key: cfg.Key}
	}
	if err := n.scrub.load(); err != nil {
		n.log.Warn("the disk is read over from its beginning", "err", err)
	}
	n.neighbours = neighbours.New(n.self, &n.cfg.Timing.Liveness, &n.cfg.Timing.Audit, n.now, cfg.Mono)
	n.caller.OnAnswer(func(id peer.ID) {
		n.neighbours.Answered(id)
		n.donors.Spoke(id, nil, n.now())
	})
	n.groups = truth.NewCache(cfg.Limits.CacheBytes, cfg.Mono, n.loadGroup)
	if err := n.survey(context.Background()); err != nil {
		return nil, fmt.Errorf("start node: %w", err)
	}
	n.beginExchange()
	return n, nil
}

func fillDefaults(cfg *Config) {
	if cfg.Accepts == "" {
		cfg.Accepts = protocol.AcceptsOpen
	}
	cfg.Caps = cfg.Caps.WithDefaults()
	cfg.Limits = cfg.Limits.WithDefaults()
	cfg.Timing = cfg.Timing.withDefaults()
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Mono == nil {
		began := cfg.Now()
		cfg.Mono = func() time.Duration { return cfg.Now().Sub(began) } // time.Now carries the monotonic clock
	}
	if cfg.Opened == nil {
		cfg.Opened = protocol.NewEnvelopeCache(keptEnvelopes)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Rand == nil {
		var seed [16]byte
		_, _ = crand.Read(seed[:]) // never fails
		cfg.Rand = rand.New(rand.NewPCG(binary.BigEndian.Uint64(seed[:]), binary.BigEndian.Uint64(seed[8:])))
	}
}

// lockedRand lets many goroutines draw from one source.
type lockedRand struct {
	mu sync.Mutex
	r  *rand.Rand
}

// with lends the source.
func (l *lockedRand) with(f func(*rand.Rand)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l.r)
}

func (l *lockedRand) shuffle(n int, swap func(i, j int)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.r.Shuffle(n, swap)
}

// float returns a number from 0 to 1.
func (l *lockedRand) float() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.r.Float64()
}

// upTo returns a random part of d.
func (l *lockedRand) upTo(d time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.r.Int64N(int64(d) + 1))
}

// jitter returns d, give or take a fifth.
func (l *lockedRand) jitter(d time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return d*4/5 + time.Duration(l.r.Int64N(int64(d)*2/5+1))
}
