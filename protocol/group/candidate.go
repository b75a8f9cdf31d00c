package group

import (
	"net/netip"

	"github.com/libp2p/go-libp2p/core/peer"
)

// MinUptime is the measured availability below which a node is not eligible:
// none of the ladder's profiles tolerates less.
const MinUptime = 0.5

// Candidate is a node as the peer that draws sees it.
type Candidate struct {
	Peer   peer.ID
	Addr   netip.Addr // as observed, the relay's if there is one; zero: unknown
	Relay  peer.ID    // the only way to it leads through this relay; "": none
	Free   int64      // bytes that it offers
	Own    bool       // the owner's own node
	Uptime float64    // share of the time that the drawing peer found it up, 0 … 1; 0: not measured
}

// Domain returns the candidate's failure domain. A relayed peer shares that of
// its relay.
func (c *Candidate) Domain(private bool) Domain {
	switch {
	case private:
		return Domain{kind: peerDomain, peer: c.Peer}
	case !c.Addr.IsValid() && c.Relay != "":
		return Domain{kind: relayDomain, peer: c.Relay}
	}
	return AddrDomain(c.Addr)
}

// eligible reports whether the node may be asked to keep need bytes.
func (c *Candidate) eligible(need int64) bool {
	return c.Free >= need && (c.Uptime == 0 || c.Uptime >= MinUptime)
}

// Private reports whether this session counts the network as private: some
// address was observed, and all that were are private. Advertised addresses do
// not count.
func Private(seen []Candidate) bool {
	known := false
	for i := range seen {
		if !seen[i].Addr.IsValid() {
			continue
		}
		if !IsPrivate(seen[i].Addr) {
			return false
		}
		known = true
	}
	return known
}

// Domains returns the number of failure domains with an eligible node. The
// caller leaves out nodes without room.
func Domains(cands []Candidate, private bool) int {
	return newRoster(cands, func(c *Candidate) bool { return c.eligible(0) }, private).len()
}

// Spread says how members are spread over failure domains.
type Spread struct {
	Domains int // with a member
	Wide    int // wide prefixes (/16, /32) with a member; a domain that lies in none counts as one
	Doubled int // members beyond the first of their domain
	Crowded int // members beyond MaxPerWide in their wide prefix
}

// SpreadOf measures members, eligible or not. A zero Peer is a vacant slot.
func SpreadOf(members []Candidate, private bool) Spread {
	r := newRoster(members, func(c *Candidate) bool { return c.Peer != "" }, private)
	s := Spread{Domains: r.len()}
	inWide := make(map[netip.Prefix]int)
	for i := range r.domains {
		d := &r.domains[i]
		s.Doubled += len(d.peers) - 1
		wide, ok := d.Wide()
		if !ok {
			s.Wide++
			continue
		}
		inWide[wide] += len(d.peers)
	}
	for _, n := range inWide {
		s.Wide++
		s.Crowded += max(0, n-MaxPerWide)
	}
	return s
}

// HostileHint reports whether all candidates lie in so few wide prefixes that
// the profile for their number of domains cannot be filled with MaxPerWide in
// each: the sign of a bootstrap that shows only its own nodes, or of a network
// that lives in one machine room. prefixes is how many wide prefixes there are.
func HostileHint(cands []Candidate, private bool) (prefixes int, warn bool) {
	if private {
		return 0, false
	}
	r := newRoster(cands, func(c *Candidate) bool { return c.eligible(0) }, private)
	p, ok := Ladder(r.len())
	if !ok {
		return 0, false
	}
	room := 0
	inWide := make(map[netip.Prefix]int)
	for i := range r.domains {
		wide, capped := r.domains[i].Wide()
		if !capped {
			prefixes++
			room++
			continue
		}
		inWide[wide]++
		if inWide[wide] <= MaxPerWide {
			room++
		}
	}
	return prefixes + len(inWide), room < p.N
}
