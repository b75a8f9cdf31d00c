package p2p

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p-kad-dht/provider"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"

	"github.com/cairnstore/cairn/protocol"
)

const (
	// settleTime is how long a routing table that has grown may settle before
	// all keys are announced to it again.
	settleTime = time.Second
	// againAfter is the least time between two such announcements.
	againAfter = 10 * time.Second
	// announceInterval is how often keys are announced; records live 48 hours.
	announceInterval = 22 * time.Hour
)

// announcer keeps keys announced. kad-dht's sweeping provider does the work:
// it visits the key space in order and gives each server all its keys together.
// The announcer makes up for what the provider does not do well:
//
//   - it considers a lookup that found nobody a success, and sleeps for up to a
//     minute where there is nobody to ask: here its lookups wait for somebody;
//   - it does not notice that a network has outgrown the peers that hold the
//     records: when the routing table has doubled, all is announced again;
//   - records are lost when the servers that hold them restart: each peer also
//     records its own keys, and tells of them when it is asked itself;
//   - it begins with some lookups that measure the network, even if there is
//     nothing to announce: a client starts none before it announces something.
//     Nodes do: what the lookups tell them of other peers is useful to them.
type announcer struct {
	h *Host

	mu       sync.Mutex
	keys     map[protocol.Key]struct{}  // guarded by mu
	provider *provider.SweepingProvider // nil on a client before its first key; guarded by mu
	closed   bool                       // guarded by mu
}

func newAnnouncer(h *Host) (*announcer, error) {
	a := &announcer{h: h, keys: make(map[protocol.Key]struct{})}
	if !h.cfg.Server {
		return a, nil
	}
	_, err := a.sweeper()
	return a, err
}

var errClosed = errors.New("the host is closed")

// sweeper returns the provider, and starts it where it does not run yet.
func (a *announcer) sweeper() (*provider.SweepingProvider, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, errClosed
	}
	if a.provider == nil {
		p, err := a.h.newProvider()
		if err != nil {
			return nil, err
		}
		a.provider = p
	}
	return a.provider, nil
}

func (h *Host) newProvider() (*provider.SweepingProvider, error) {
	return provider.New(
		// Not WithHost: the provider would forget the addresses of every peer
		// that failed to answer once.
		provider.WithPeerID(h.Self()),
		provider.WithRouter(patientRouter{h}),
		provider.WithMessageSender(h.dht.MessageSender()),
		provider.WithSelfAddrs(func() []multiaddr.Multiaddr { return h.ownAddrs() }),
		provider.WithReprovideInterval(announceInterval),
		provider.WithAddLocalRecord(func(ctx context.Context, m multihash.Multihash) error {
			return h.dht.Provide(ctx, cid.NewCidV1(cid.Raw, m), false)
		}),
	)
}

// close stops announcing; records made before live until they expire.
func (a *announcer) close() {
	a.mu.Lock()
	a.closed = true
	p := a.provider
	a.mu.Unlock()
	if p == nil {
		return
	}
	if err := p.Close(); err != nil {
		a.h.log.Debug("announcer closed", "error", err)
	}
}

// patientRouter is the provider's way to look up peers.
type patientRouter struct{ h *Host }

var errNobody = errors.New("lookup found nobody")

// GetClosestPeers waits until there is somebody to ask.
func (r patientRouter) GetClosestPeers(ctx context.Context, key string) ([]peer.ID, error) {
	if !r.h.awaitTable(ctx) {
		return nil, ctx.Err()
	}
	found, err := r.h.dht.GetClosestPeers(ctx, key)
	if err == nil && len(found) == 0 {
		err = errNobody
	}
	return found, err
}

// run announces all keys again whenever the routing table has doubled since the
// last time, or since it shrank.
func (a *announcer) run(ctx context.Context) {
	told := 0 // peers in the table that were told, or fewer
	for {
		changed := a.h.table.next()
		size := a.h.dht.RoutingTable().Size()
		if size == 0 || 2*size < told {
			told = size
		}
		if size == 0 || size < 2*told {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		if !protocol.Sleep(ctx, settleTime) {
			return
		}
		told = max(a.h.dht.RoutingTable().Size(), 1)
		if err := a.again(); err != nil {
			a.h.log.Debug("cannot announce", "error", err)
		}
		if !protocol.Sleep(ctx, againAfter) {
			return
		}
	}
}

// again announces all keys, recently announced or not.
func (a *announcer) again() error {
	a.mu.Lock()
	all := make([]multihash.Multihash, 0, len(a.keys))
	for k := range a.keys {
		all = append(all, hashOf(k))
	}
	a.mu.Unlock()
	if len(all) == 0 {
		return nil
	}
	p, err := a.sweeper()
	if err != nil {
		return err
	}
	return p.StartProviding(true, all...)
}

// Announce keeps this peer announced in the DHT as a provider of keys, until
// Withdraw or Close. It returns immediately; servers that are not there yet are
// told when they come. A key that is announced already costs nothing.
func (h *Host) Announce(keys ...protocol.Key) error {
	a := h.announcer
	var fresh []multihash.Multihash
	a.mu.Lock()
	for _, k := range keys {
		if _, old := a.keys[k]; !old {
			a.keys[k] = struct{}{}
			fresh = append(fresh, hashOf(k))
		}
	}
	a.mu.Unlock()
	if err := a.tell(fresh); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		for _, k := range keys {
			delete(a.keys, k) // or the next call would consider them announced
		}
		return fmt.Errorf("announce: %w", err)
	}
	return nil
}

// tell records keys here and makes the provider announce them to others.
func (a *announcer) tell(fresh []multihash.Multihash) error {
	if len(fresh) == 0 {
		return nil
	}
	for _, m := range fresh {
		if err := a.h.dht.Provide(context.Background(), cid.NewCidV1(cid.Raw, m), false); err != nil {
			return err
		}
	}
	p, err := a.sweeper()
	if err != nil {
		return err
	}
	return p.StartProviding(false, fresh...)
}

// Withdraw stops announcing keys. Records made before expire within 48 hours.
func (h *Host) Withdraw(keys ...protocol.Key) error {
	a := h.announcer
	var gone []multihash.Multihash
	a.mu.Lock()
	for _, k := range keys {
		if _, ok := a.keys[k]; ok {
			delete(a.keys, k)
			gone = append(gone, hashOf(k))
		}
	}
	p := a.provider
	a.mu.Unlock()
	if len(gone) == 0 || p == nil {
		return nil
	}
	if err := p.StopProviding(gone...); err != nil {
		return fmt.Errorf("withdraw: %w", err)
	}
	return nil
}
