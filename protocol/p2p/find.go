package p2p

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/ipfs/go-cid"
	dht "github.com/libp2p/go-libp2p-kad-dht"
	kad "github.com/libp2p/go-libp2p-kad-dht/records"
	"github.com/libp2p/go-libp2p/core/peer"
	libprotocol "github.com/libp2p/go-libp2p/core/protocol"
	"github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"

	"github.com/cairnstore/cairn/protocol"
)

// tableWait is how long a lookup waits for a routing table that is still
// empty: a peer that was just met enters it some milliseconds later.
const tableWait = 3 * time.Second

// clientChecks is how many peers at a time a client tests with a request before
// they enter its routing table. Others enter once a lookup has led to them.
const clientChecks = 3

// startDHT joins the network's DHT: providers only, under the network's own
// prefix.
func (h *Host) startDHT() error {
	mode := dht.ModeClient
	if h.cfg.Server {
		// ModeAuto would wait to be told that it is public, by peers that a new
		// network does not have.
		mode = dht.ModeAutoServer
	}
	kept := newRecords(h.host.ID(), maxClaimBytes, time.Now) // the clock of kad-dht
	opts := []dht.Option{
		dht.ProtocolPrefix(libprotocol.ID("/cairn/" + h.cfg.Network)),
		dht.Mode(mode),
		dht.DisableValues(),
		dht.ProviderDatastore(kept),
		dht.ProviderManagerOpts(kad.Cache(noCache{})),
		dht.OnRequestHook(kept.guard),
		dht.AddressFilter(h.filterAddrs),
		dht.RoutingTablePeerDiversityFilter(newDiversity(h.host.Network())),
	}
	if !h.cfg.Server {
		// Most clients are gone within seconds. Their own lookups fill their
		// table; more lookups beforehand would burden every node, and so would a
		// test of every peer that they meet.
		opts = append(opts, dht.DisableAutoRefresh(), dht.LookupCheckConcurrency(clientChecks))
	}
	d, err := dht.New(guarded(h.host), opts...)
	if err != nil {
		return fmt.Errorf("start DHT: %w", err)
	}
	h.dht, h.records = d, kept
	// Nobody can be in the table yet: this host does not listen, and the DHT was
	// given no bootstrap peers, which it would dial in New.
	rt := d.RoutingTable()
	added, removed := rt.PeerAdded, rt.PeerRemoved
	rt.PeerAdded = func(p peer.ID) { added(p); h.table.fire() }
	rt.PeerRemoved = func(p peer.ID) { removed(p); h.table.fire() }
	return nil
}

// filterAddrs picks the addresses that are worth keeping or telling.
func (h *Host) filterAddrs(addrs []multiaddr.Multiaddr) []multiaddr.Multiaddr {
	if h.gate.public.Load() {
		return onlyPublic(addrs)
	}
	return addrs
}

// awaitTable waits until the routing table has a peer, and reports whether it
// has.
func (h *Host) awaitTable(ctx context.Context) bool {
	for {
		changed := h.table.next()
		if h.dht.RoutingTable().Size() > 0 {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// hashOf returns the multihash under which a key stands in the DHT.
func hashOf(k protocol.Key) multihash.Multihash {
	return append(multihash.Multihash{multihash.SHA2_256, byte(len(k))}, k[:]...)
}

// Closest looks a key up in the DHT and returns the peers nearest to it. Where
// the DHT has nobody to ask it returns what Known does.
func (h *Host) Closest(ctx context.Context, key protocol.Key) ([]peer.ID, error) {
	wait, cancel := context.WithTimeout(ctx, tableWait)
	defer cancel()
	if !h.awaitTable(wait) {
		return h.Known(), ctx.Err()
	}
	found, err := h.dht.GetClosestPeers(ctx, string(hashOf(key)))
	if len(found) > 0 {
		return found, nil
	}
	if ctx.Err() != nil {
		return nil, fmt.Errorf("look up peers: %w", ctx.Err())
	}
	h.log.Debug("lookup found nobody", "error", err)
	return h.Known(), nil
}

// Providers yields the peers that claim to provide key, each once, as they are
// found. It asks every peer that the lookup leads to: stopping at some count
// would let liars hide the others. Addresses that come with them are learnt.
func (h *Host) Providers(ctx context.Context, key protocol.Key) iter.Seq[peer.ID] {
	return func(yield func(peer.ID) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		wait, ready := context.WithTimeout(ctx, tableWait)
		defer ready()
		h.awaitTable(wait) // without one, only what is recorded here is found
		seen := map[peer.ID]bool{h.Self(): true}
		for found := range h.dht.FindProvidersAsync(ctx, cid.NewCidV1(cid.Raw, hashOf(key)), 0) {
			h.Learn(found)
			if seen[found.ID] {
				continue
			}
			seen[found.ID] = true
			if !yield(found.ID) {
				return
			}
		}
	}
}
