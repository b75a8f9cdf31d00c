package donors

import (
	"container/heap"
	"math/rand/v2"
	"slices"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol/group"
)

// Peers are kept and picked by failure domain: peer IDs cost nothing, and a crowd of
// them behind one address must neither drive out all others nor be nearly all that
// is picked.

// pool is peers by domain. Every operation but pick costs a logarithm of its size.
type pool struct {
	domains map[group.Domain]*crowd
	crowds  indexed[*crowd] // the most crowded first
	size    int
}

// crowd is the peers of one domain.
type crowd struct {
	domain group.Domain
	peers  indexed[*donor] // the one heard of longest ago first
	at     int             // its place among the crowds
}

func (c *crowd) put(at int) { c.at = at }

// before reports whether a peer of this crowd is dropped before one of another.
func (c *crowd) before(o *crowd) bool {
	if len(c.peers) != len(o.peers) {
		return len(c.peers) > len(o.peers)
	}
	return c.peers[0].before(o.peers[0])
}

func (e *donor) put(at int)           { e.at = at }
func (e *donor) before(o *donor) bool { return e.heard.Before(o.heard) }

func newPool() *pool { return &pool{domains: make(map[group.Domain]*crowd)} }

// add takes in a peer that is in no pool.
func (p *pool) add(e *donor, domain group.Domain) {
	e.pool, e.crowd = p, p.domains[domain]
	p.size++
	if e.crowd == nil {
		e.crowd = &crowd{domain: domain, peers: indexed[*donor]{e}}
		e.at = 0
		p.domains[domain] = e.crowd
		heap.Push(&p.crowds, e.crowd)
		return
	}
	heap.Push(&e.crowd.peers, e)
	heap.Fix(&p.crowds, e.crowd.at)
}

func (p *pool) remove(e *donor) {
	c := e.crowd
	e.pool, e.crowd = nil, nil
	p.size--
	if len(c.peers) == 1 {
		heap.Remove(&p.crowds, c.at)
		delete(p.domains, c.domain)
		return
	}
	heap.Remove(&c.peers, e.at)
	heap.Fix(&p.crowds, c.at)
}

// touch notes that a peer was heard of.
func (p *pool) touch(e *donor) {
	heap.Fix(&e.crowd.peers, e.at)
	heap.Fix(&p.crowds, e.crowd.at)
}

// first returns the peer that is to be dropped first; nil: none is left.
func (p *pool) first() *donor {
	if p.size == 0 {
		return nil
	}
	return p.crowds[0].peers[0]
}

// pick draws peers that fit, at most most: one of each domain, then another of each.
func (p *pool) pick(most int, fits func(*donor) bool, rng *rand.Rand) (out []*donor) {
	left := make([][]*donor, len(p.crowds))
	for i, c := range p.crowds {
		left[i] = c.peers
	}
	rng.Shuffle(len(left), func(i, j int) { left[i], left[j] = left[j], left[i] })
	for first := true; len(left) > 0; first = false {
		kept := left[:0]
		for _, peers := range left {
			if len(out) == most {
				return out
			}
			if first {
				peers = slices.Clone(peers)
			}
			e, rest := pickOne(peers, fits, rng)
			if e != nil {
				out = append(out, e)
			}
			if len(rest) > 0 {
				kept = append(kept, rest)
			}
		}
		left = kept
	}
	return out
}

// pickOne draws one of some peers that fits, nil if none does, and returns those
// that it has not looked at.
func pickOne(peers []*donor, fits func(*donor) bool, rng *rand.Rand) (e *donor, rest []*donor) {
	for len(peers) > 0 {
		i, last := rng.IntN(len(peers)), len(peers)-1
		e, peers[i] = peers[i], peers[last]
		peers = peers[:last]
		if fits(e) {
			return e, peers
		}
	}
	return nil, nil
}

// domainOf returns the domain of an address; the zero one where there is none.
func domainOf(m multiaddr.Multiaddr) group.Domain {
	var c group.Candidate
	c.Addr, c.Relay = group.Observed(m)
	return c.Domain(false)
}

// claimed returns the domain that a peer claims in its own record: that of its first
// public address, else of the first.
func claimed(addrs []multiaddr.Multiaddr) (d group.Domain) {
	for _, m := range addrs {
		at := domainOf(m)
		if _, public := at.Wide(); public {
			return at
		}
		if d == (group.Domain{}) {
			d = at
		}
	}
	return d
}

// placed is an element of a heap that knows its place in it.
type placed[T any] interface {
	before(T) bool
	put(at int)
}

var (
	_ placed[*crowd] = (*crowd)(nil)
	_ placed[*donor] = (*donor)(nil)
)

// indexed is a heap of them.
type indexed[T placed[T]] []T

func (h indexed[T]) Len() int           { return len(h) }
func (h indexed[T]) Less(i, j int) bool { return h[i].before(h[j]) }

func (h indexed[T]) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].put(i)
	h[j].put(j)
}

func (h *indexed[T]) Push(x any) {
	v := x.(T)
	v.put(len(*h))
	*h = append(*h, v)
}

func (h *indexed[T]) Pop() any {
	last := len(*h) - 1
	v := (*h)[last]
	var none T
	(*h)[last] = none
	*h = (*h)[:last]
	return v
}
