package group

import (
	"math/rand/v2"

	"github.com/cairnstore/cairn/protocol"
)

// Draw returns the eligible candidates with room for need bytes in the order
// in which they should be asked to take a slot. It draws uniformly over failure
// domains, never over peer IDs, so that a thousand identities behind one
// prefix weigh as much as one. It takes one peer of each domain; at most
// MaxPerWide in a wide prefix, and further domains of it only where the profile
// cannot be filled otherwise; the owner's own node after every other domain.
// Second peers of a domain appear only where there are fewer domains than slots,
// which never happens with a profile from the ladder; SpreadOf reports them.
func Draw(cands []Candidate, p protocol.Profile, need int64, private bool, rng *rand.Rand) []Candidate {
	r := newRoster(cands, func(c *Candidate) bool { return c.eligible(need) }, private)
	r.shuffle(rng)
	return r.order(p.N)
}

// Assign gives slots to the candidates that accepted, in order of answer, under
// the same caps as Draw and the owner's own node last. The result has at most n
// entries: entry i holds slot i, and slots beyond the last entry are vacant.
func Assign(answers []Candidate, n int, private bool) []Candidate {
	r := newRoster(answers, func(*Candidate) bool { return true }, private)
	out := r.order(n)
	return out[:min(n, len(out))]
}
