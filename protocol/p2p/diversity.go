package p2p

import (
	"net/netip"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p-kbucket/peerdiversity"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// How many peers of one address prefix a routing table takes: peer IDs are
// free, addresses are not.
const (
	maxPerBucket   = 2
	maxPerTable    = 3
	diversityBits4 = 16
	diversityBits6 = 32
)

// diversity keeps one address prefix from filling the routing table. Private
// and loopback addresses are exempt: a testnet has no others. kad-dht does not
// use its own filter under a protocol prefix like ours; besides, that filter
// treats all unknown IPv6 networks as one and would leave a testnet three peers.
type diversity struct {
	net network.Network

	mu    sync.Mutex
	table map[netip.Prefix]int       // guarded by mu
	near  map[bucketPrefix]int       // guarded by mu
	peers map[peer.ID][]netip.Prefix // as counted; guarded by mu
	adds  map[peer.ID]int            // Increments less Decrements; guarded by mu
}

type bucketPrefix struct {
	bucket int
	prefix netip.Prefix
}

var _ peerdiversity.PeerIPGroupFilter = (*diversity)(nil)

func newDiversity(n network.Network) *diversity {
	return &diversity{
		net: n, table: make(map[netip.Prefix]int), near: make(map[bucketPrefix]int),
		peers: make(map[peer.ID][]netip.Prefix), adds: make(map[peer.ID]int),
	}
}

// PeerAddresses returns where a peer is seen, not where it says it is.
func (d *diversity) PeerAddresses(p peer.ID) []multiaddr.Multiaddr {
	var out []multiaddr.Multiaddr
	for _, c := range d.net.ConnsToPeer(p) {
		out = append(out, c.RemoteMultiaddr())
	}
	return out
}

// prefixes returns the public prefixes in which a peer is seen.
func (d *diversity) prefixes(p peer.ID) []netip.Prefix {
	var out []netip.Prefix
	for _, a := range d.PeerAddresses(p) {
		ip, ok := addrIP(a)
		if !ok || !manet.IsPublicAddr(a) {
			continue
		}
		if in := prefixOf(ip, diversityBits4, diversityBits6); !slices.Contains(out, in) {
			out = append(out, in)
		}
	}
	return out
}

// Allow reports whether the table has room for a peer's prefixes.
func (d *diversity) Allow(g peerdiversity.PeerGroupInfo) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, p := range d.prefixes(g.Id) {
		if d.table[p] >= maxPerTable || d.near[bucketPrefix{g.Cpl, p}] >= maxPerBucket {
			return false
		}
	}
	return true
}

// Increment counts a peer that entered the table; kad-dht calls it once per
// address.
func (d *diversity) Increment(g peerdiversity.PeerGroupInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.adds[g.Id]++; d.adds[g.Id] > 1 {
		return
	}
	d.peers[g.Id] = d.prefixes(g.Id)
	d.count(g, 1)
}

// Decrement takes back an Increment.
func (d *diversity) Decrement(g peerdiversity.PeerGroupInfo) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.adds[g.Id]--; d.adds[g.Id] > 0 {
		return
	}
	delete(d.adds, g.Id)
	d.count(g, -1)
	delete(d.peers, g.Id)
}

func (d *diversity) count(g peerdiversity.PeerGroupInfo, by int) {
	for _, p := range d.peers[g.Id] {
		if d.table[p] += by; d.table[p] <= 0 {
			delete(d.table, p)
		}
		b := bucketPrefix{g.Cpl, p}
		if d.near[b] += by; d.near[b] <= 0 {
			delete(d.near, b)
		}
	}
}
