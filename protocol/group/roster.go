package group

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
)

// MaxPerWide is how many members may lie in one /16 (IPv6: /32), as long as the
// profile can be filled that way.
const MaxPerWide = 2

// roster holds candidates by failure domain, in the order in which domains and
// their peers first appeared.
type roster struct {
	cands   []Candidate
	domains []household
}

// household is one domain and its candidates, the owner's own nodes last.
type household struct {
	Domain
	peers []int32 // into roster.cands
	own   bool    // all its nodes are the owner's own
	rank  int32   // place among the domains of its wide prefix, from 1; 0: it has none
}

// newRoster sorts the candidates that keep admits into domains. A peer that
// appears twice counts once, where it appears first.
func newRoster(cands []Candidate, keep func(*Candidate) bool, private bool) *roster {
	r := &roster{cands: cands}
	index := make(map[Domain]int32, len(cands))
	seen := make(map[string]struct{}, len(cands))
	of := make([]int32, len(cands)) // domain by candidate, -1: left out
	var sizes []int32
	for i := range cands {
		of[i] = -1
		if _, again := seen[string(cands[i].Peer)]; again || !keep(&cands[i]) {
			continue
		}
		seen[string(cands[i].Peer)] = struct{}{}
		d := cands[i].Domain(private)
		at, ok := index[d]
		if !ok {
			at = int32(len(r.domains))
			index[d] = at
			r.domains = append(r.domains, household{Domain: d})
			sizes = append(sizes, 0)
		}
		of[i] = at
		sizes[at]++
	}
	r.fill(of, sizes)
	return r
}

// fill gives each domain its peers, all in one array: first others, then own.
func (r *roster) fill(of, sizes []int32) {
	all := make([]int32, len(of))
	at := int32(0)
	for i, n := range sizes {
		r.domains[i].peers = all[at : at : at+n]
		at += n
	}
	for _, own := range [...]bool{false, true} {
		for i, at := range of {
			if at < 0 || r.cands[i].Own != own {
				continue
			}
			d := &r.domains[at]
			d.own = own && (d.own || len(d.peers) == 0)
			d.peers = append(d.peers, int32(i))
		}
	}
}

func (r *roster) len() int { return len(r.domains) }

// shuffle puts domains in random order, each as likely as any other however
// many peers it has, and the peers of each domain as well.
func (r *roster) shuffle(rng *rand.Rand) {
	rng.Shuffle(len(r.domains), func(i, j int) { r.domains[i], r.domains[j] = r.domains[j], r.domains[i] })
	for i := range r.domains {
		p := r.domains[i].peers
		others := len(p)
		for others > 0 && r.cands[p[others-1]].Own {
			others--
		}
		rng.Shuffle(others, func(i, j int) { p[i], p[j] = p[j], p[i] })
	}
}

// order returns the peers in the order in which they should be taken for n
// slots: one of each domain within MaxPerWide; if these are fewer than n, one of
// each domain beyond it; then the owner's own; and only if there are fewer than n
// domains, second and further peers of each.
func (r *roster) order(n int) []Candidate {
	slices.SortStableFunc(r.domains, func(a, b household) int { return ownLast(a.own, b.own) })
	r.number()
	firsts := r.ranked(0, MaxPerWide)
	if len(firsts) < n {
		// In rounds, so that a crowded prefix fills no faster than others.
		beyond := r.ranked(MaxPerWide+1, math.MaxInt32)
		slices.SortStableFunc(beyond, func(a, b *household) int { return int(a.rank - b.rank) })
		firsts = append(firsts, beyond...)
		slices.SortStableFunc(firsts, func(a, b *household) int { return ownLast(a.own, b.own) })
	}
	out := make([]Candidate, 0, max(n, len(firsts)))
	for _, d := range firsts {
		out = append(out, r.cands[d.peers[0]])
	}
	if len(firsts) >= n {
		return out
	}
	for round, more := 1, true; more; round++ {
		more = false
		for _, d := range firsts {
			if round < len(d.peers) {
				out = append(out, r.cands[d.peers[round]])
				more = true
			}
		}
	}
	return out
}

// number gives the domains of each wide prefix their ranks, in their order.
func (r *roster) number() {
	inWide := make(map[netip.Prefix]int32)
	for i := range r.domains {
		if wide, ok := r.domains[i].Wide(); ok {
			inWide[wide]++
			r.domains[i].rank = inWide[wide]
		}
	}
}

// ranked returns the domains of ranks lo to hi, in their order.
func (r *roster) ranked(lo, hi int32) (out []*household) {
	for i := range r.domains {
		if d := &r.domains[i]; lo <= d.rank && d.rank <= hi {
			out = append(out, d)
		}
	}
	return out
}

func ownLast(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}
