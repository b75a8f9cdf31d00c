package p2p

import (
	"container/heap"
	"net/netip"
	"slices"
	"time"
)

// Bounds of the provider records that a server keeps for the network.
const (
	maxClaimBytes    = 256 << 20
	maxKeyClaims     = 64     // of one key
	maxKeyNarrow     = 3      // of one key, from one /24 (IPv6: /48)
	maxPeerClaims    = 20_000 // of one peer
	claimRenewal     = time.Hour
	claimCost        = 128 // bytes that a claim takes; in addition
	claimKeyCost     = 208 // the first claim of a key,
	claimantCost     = 160 // of a peer,
	contributorCost  = 416 // of an origin
	claimantIDLength = 38  // bytes of an Ed25519 peer ID
)

// claims are what peers say that they provide, by key. Announcing costs a peer
// nothing, so all of it is bounded (SPEC.md, Finding):
//
//   - a key that is full drops the claim whose origin is the most crowded
//     there, the newest of equals: a liar with a few prefixes pushes out its
//     own claims, never those of single peers from elsewhere;
//   - a peer at its limit is refused;
//   - when memory is full, the origin with the most claims loses its oldest.
//
// This peer's own claims are exempt. Not safe for concurrent use.
type claims struct {
	self string
	most int // bytes

	keys      map[string][]*claim
	claimants map[string]*claimant
	from      map[contributorID]*contributor
	largest   contributorHeap
	bytes     int
}

// claim says that a peer provides a key.
type claim struct {
	key        string
	by         *claimant
	from       *contributor
	at         time.Time
	prev, next *claim // of the same contributor, the older and the newer
}

// claimant is a peer with claims.
type claimant struct {
	peer   string
	claims int
}

// contributorID names an origin; where that is exempt, a peer.
type contributorID struct {
	at   origin
	peer string
}

// contributor is an origin with claims.
type contributor struct {
	id             contributorID
	claims         int
	place          int    // in the heap
	oldest, newest *claim // of a list
}

func newClaims(self string, most int) *claims {
	return &claims{
		self: self, most: most, keys: make(map[string][]*claim),
		claimants: make(map[string]*claimant), from: make(map[contributorID]*contributor),
	}
}

// of returns the claims of a key. The caller must not change them.
func (c *claims) of(key string) []*claim { return c.keys[key] }

// find returns a peer's claim of a key, or nil.
func (c *claims) find(key, peer string) *claim {
	for _, v := range c.keys[key] {
		if v.by.peer == peer {
			return v
		}
	}
	return nil
}

// fresh reports whether a peer's claim of a key from this origin is held already
// and was told recently: telling it again changes nothing.
func (c *claims) fresh(key, peer string, at origin, now time.Time) bool {
	v := c.find(key, peer)
	return v != nil && v.from.id.at == at && now.Sub(v.at) < claimRenewal
}

// add keeps a claim if the bounds allow it, and reports whether it did.
func (c *claims) add(key, peer string, at origin, now time.Time) bool {
	if old := c.find(key, peer); old != nil {
		if old.from.id.at == at {
			old.from.unlink(old)
			old.from.link(old)
			old.at = now
			return true
		}
		c.remove(old)
	}
	if p := c.claimants[peer]; p != nil && p.claims >= maxPeerClaims && peer != c.self {
		return false
	}
	added := c.insert(key, peer, at, now)
	if drop := c.crowded(added); drop != nil {
		c.remove(drop)
		return drop != added
	}
	for c.bytes > c.most && len(c.largest) > 0 {
		c.remove(c.largest[0].oldest)
	}
	return c.find(key, peer) != nil
}

func (c *claims) insert(key, peer string, at origin, now time.Time) *claim {
	p := c.claimants[peer]
	if p == nil {
		p = &claimant{peer: peer}
		c.claimants[peer] = p
		c.bytes += claimantCost + max(len(peer)-claimantIDLength, 0)
	}
	p.claims++
	f := c.contributor(peer, at)
	f.claims++
	if f.place >= 0 {
		heap.Fix(&c.largest, f.place)
	}
	v := &claim{key: key, by: p, from: f, at: now}
	f.link(v)
	list, old := c.keys[key]
	if !old {
		c.bytes += claimKeyCost + len(key)
	} else {
		v.key = list[0].key // one copy in memory
	}
	c.keys[v.key] = append(list, v)
	c.bytes += claimCost
	return v
}

func (c *claims) contributor(peer string, at origin) *contributor {
	id := contributorID{at: at}
	if at.exempt() {
		id.peer = peer
	}
	f := c.from[id]
	if f == nil {
		f = &contributor{id: id, place: -1}
		c.from[id] = f
		c.bytes += contributorCost
		if peer != c.self {
			heap.Push(&c.largest, f)
		}
	}
	return f
}

// remove forgets a claim.
func (c *claims) remove(v *claim) {
	list := c.keys[v.key]
	i := slices.Index(list, v)
	if i < 0 {
		return
	}
	c.bytes -= claimCost
	if list = slices.Delete(list, i, i+1); len(list) > 0 {
		c.keys[v.key] = list
	} else {
		delete(c.keys, v.key)
		c.bytes -= claimKeyCost + len(v.key)
	}
	if v.by.claims--; v.by.claims == 0 {
		delete(c.claimants, v.by.peer)
		c.bytes -= claimantCost + max(len(v.by.peer)-claimantIDLength, 0)
	}
	v.from.unlink(v)
	c.left(v.from)
}

// left notes that a contributor has one claim less.
func (c *claims) left(f *contributor) {
	f.claims--
	switch {
	case f.claims > 0 && f.place >= 0:
		heap.Fix(&c.largest, f.place)
	case f.claims == 0:
		if f.place >= 0 {
			heap.Remove(&c.largest, f.place)
		}
		delete(c.from, f.id)
		c.bytes -= contributorCost
	}
}

// crowded returns the claim that a key must drop for the one just added, or nil:
// the new one itself if its narrow prefix had its share already; else, if there
// are too many in all, one from the most crowded prefix, wide prefixes compared
// before narrow ones, the newest of equals.
func (c *claims) crowded(added *claim) *claim {
	list := c.keys[added.key]
	if len(list) <= maxKeyNarrow || added.by.peer == c.self {
		return nil
	}
	same, others := 0, 0
	for _, v := range list {
		if v.by.peer != c.self {
			others++
		}
		if v.from == added.from && !v.from.id.at.exempt() {
			same++
		}
	}
	switch {
	case same > maxKeyNarrow:
		return added
	case others <= maxKeyClaims:
		return nil
	}
	crowd, worst := crowdOf(list), added
	for _, v := range slices.Backward(list) {
		if v.by.peer != c.self && crowd.more(v, worst) {
			worst = v
		}
	}
	return worst
}

// crowd counts the claims of one key by prefix.
type crowd struct {
	narrow map[*contributor]int
	wide   map[netip.Prefix]int
}

func crowdOf(list []*claim) crowd {
	c := crowd{make(map[*contributor]int, len(list)), make(map[netip.Prefix]int, len(list))}
	for _, v := range list {
		if !v.from.id.at.exempt() {
			c.narrow[v.from]++
			c.wide[v.from.id.at.wide]++
		}
	}
	return c
}

// more reports whether a comes from a more crowded place than b.
func (c crowd) more(a, b *claim) bool {
	if x, y := c.wide[a.from.id.at.wide], c.wide[b.from.id.at.wide]; x != y {
		return x > y
	}
	return c.narrow[a.from] > c.narrow[b.from]
}

// link makes a claim the contributor's newest.
func (f *contributor) link(v *claim) {
	v.prev, v.next = f.newest, nil
	if f.newest != nil {
		f.newest.next = v
	} else {
		f.oldest = v
	}
	f.newest = v
}

func (f *contributor) unlink(v *claim) {
	if v.prev != nil {
		v.prev.next = v.next
	} else {
		f.oldest = v.next
	}
	if v.next != nil {
		v.next.prev = v.prev
	} else {
		f.newest = v.prev
	}
	v.prev, v.next = nil, nil
}

// contributorHeap has the contributor with the most claims first.
type contributorHeap []*contributor

func (h contributorHeap) Len() int           { return len(h) }
func (h contributorHeap) Less(i, j int) bool { return h[i].claims > h[j].claims }
func (h contributorHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].place, h[j].place = i, j
}

func (h *contributorHeap) Push(v any) {
	f, _ := v.(*contributor)
	f.place = len(*h)
	*h = append(*h, f)
}

func (h *contributorHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	last.place = -1
	return last
}
