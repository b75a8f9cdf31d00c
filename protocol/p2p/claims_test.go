package p2p

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/multiformats/go-multiaddr"
)

var claimTime = time.Unix(1_700_000_000, 0)

func claimKey(i int) string  { return fmt.Sprintf("\x12\x20%032d", i) }
func claimPeer(i int) string { return fmt.Sprintf("%038d", i) }

// at4 is the origin of an IPv4 address.
func at4(a, b, c, d int) origin {
	m, err := multiaddr.NewMultiaddr(fmt.Sprintf("/ip4/%d.%d.%d.%d/tcp/4401", a, b, c, d&255))
	if err != nil {
		panic(err)
	}
	return originOf(m)
}

// check compares what is counted with what is there.
func (c *claims) check(t *testing.T) {
	t.Helper()
	bytes, peers, from := 0, map[*claimant]int{}, map[*contributor]int{}
	for key, list := range c.keys {
		bytes += claimKeyCost + len(key)
		for _, v := range list {
			bytes += claimCost
			peers[v.by]++
			from[v.from]++
		}
	}
	for p, n := range peers {
		bytes += claimantCost
		if p.claims != n || c.claimants[p.peer] != p {
			t.Errorf("%d claims of a peer, %d counted", n, p.claims)
		}
	}
	for f, n := range from {
		bytes += contributorCost
		linked := 0
		for v := f.oldest; v != nil; v = v.next {
			linked++
		}
		if f.claims != n || linked != n || c.from[f.id] != f || f.place >= 0 && c.largest[f.place] != f {
			t.Errorf("%d claims from an origin, %d counted, %d linked", n, f.claims, linked)
		}
	}
	if bytes != c.bytes || len(peers) != len(c.claimants) || len(from) != len(c.from) {
		t.Errorf("%d bytes, %d counted; %d peers, %d kept; %d origins, %d kept", bytes, c.bytes, len(peers), len(c.claimants), len(from), len(c.from))
	}
}

func TestClaimsOfOneKeyFromOnePrefix(t *testing.T) {
	c := newClaims("self", maxClaimBytes)
	for i := range 10 {
		if c.add(claimKey(1), claimPeer(i), at4(9, 9, 9, i), claimTime) != (i < maxKeyNarrow) {
			t.Errorf("claim %d from one /24", i)
		}
	}
	for i := range 10 {
		if !c.add(claimKey(1), claimPeer(20+i), origin{}, claimTime) {
			t.Error("private addresses count as a prefix")
		}
	}
	if !c.add(claimKey(1), claimPeer(40), at4(9, 9, 8, 1), claimTime) || !c.add(claimKey(2), claimPeer(0), at4(9, 9, 9, 9), claimTime) {
		t.Error("another prefix, or another key, pays")
	}
	c.check(t)
}

// A liar with a few prefixes must not keep out single peers from elsewhere,
// whichever come first.
func TestMostCrowdedPrefixYields(t *testing.T) {
	const honest = 16 // how many members announce a group
	for _, first := range []string{"liars", "honest"} {
		c := newClaims("self", maxClaimBytes)
		lie := func() {
			for i := range 4000 { // all of a /16, and some of another
				c.add(claimKey(1), claimPeer(1000+i), at4(66, 6+i/3000, i/3%256, i), claimTime)
			}
		}
		tell := func() {
			for i := range honest {
				c.add(claimKey(1), claimPeer(i), at4(20+i/2, 1, i, 1), claimTime)
			}
		}
		if first == "liars" {
			lie()
			tell()
		} else {
			tell()
			lie()
		}
		for i := range honest {
			if c.find(claimKey(1), claimPeer(i)) == nil {
				t.Errorf("%s first: provider %d was pushed out", first, i)
			}
		}
		if n := len(c.of(claimKey(1))); n != maxKeyClaims {
			t.Errorf("%s first: %d claims of a key", first, n)
		}
		c.check(t)
	}
}

// A flood costs only the flooder its room, however many identities it has.
func TestLargestContributorIsEvictedFirst(t *testing.T) {
	const donors, each = 20, 500
	c := newClaims("self", 2*donors*each*(claimCost+claimKeyCost+34))
	for d := range donors {
		for i := range each {
			c.add(claimKey(d*each+i), claimPeer(d), at4(20+d, 1, 1, 1), claimTime)
		}
	}
	for i := range 8 * donors * each {
		c.add(claimKey(1_000_000+i), claimPeer(1000+i/3), at4(66, 6, 6, i), claimTime)
		if c.bytes > c.most {
			t.Fatalf("%d bytes of %d", c.bytes, c.most)
		}
	}
	for d := range donors {
		for i := range each {
			if c.find(claimKey(d*each+i), claimPeer(d)) == nil {
				t.Fatalf("the flood washed away claim %d of donor %d", i, d)
			}
		}
	}
	c.check(t)
}

func TestClaimsOfOnePeer(t *testing.T) {
	c := newClaims("self", maxClaimBytes)
	for i := range maxPeerClaims + 10 {
		if c.add(claimKey(i), claimPeer(1), at4(9, 9, 9, 9), claimTime) != (i < maxPeerClaims) {
			t.Fatalf("claim %d of a peer", i)
		}
		c.add(claimKey(i), "self", origin{}, claimTime)
	}
	if !c.add(claimKey(7), claimPeer(1), at4(8, 8, 8, 8), claimTime.Add(time.Hour)) {
		t.Error("a full peer may not renew a claim from another address")
	}
	if n := c.claimants["self"].claims; n != maxPeerClaims+10 {
		t.Errorf("%d claims of its own", n)
	}
	c.check(t)
}

// Random additions and removals leave the counts true and the bounds kept.
func TestClaimsAtRandom(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	c := newClaims(claimPeer(0), 300*(claimCost+claimKeyCost+claimantCost))
	for i := range 50_000 {
		key, who := claimKey(r.IntN(60)), claimPeer(r.IntN(400))
		if v := c.find(key, who); v != nil && r.IntN(3) == 0 {
			c.remove(v)
			continue
		}
		at := at4(20+r.IntN(3), r.IntN(3), r.IntN(8), 1)
		if r.IntN(10) == 0 || who == claimPeer(0) {
			at = origin{}
		}
		c.add(key, who, at, claimTime.Add(time.Duration(i)*time.Minute))
	}
	c.check(t)
	for key, list := range c.keys {
		from := map[origin]int{}
		for _, v := range list {
			if from[v.from.id.at]++; !v.from.id.at.exempt() && from[v.from.id.at] > maxKeyNarrow {
				t.Errorf("%d claims of %q from one prefix", from[v.from.id.at], key)
			}
		}
		if len(list) > maxKeyClaims+1 {
			t.Errorf("%d claims of %q", len(list), key)
		}
	}
	for key := range c.keys {
		for len(c.keys[key]) > 0 {
			c.remove(c.keys[key][0])
		}
	}
	if c.bytes != 0 || len(c.keys)+len(c.claimants)+len(c.from)+len(c.largest) != 0 {
		t.Errorf("left behind: %d bytes", c.bytes)
	}
}

// A claim must cost as many bytes as are counted for it, or the bound is void.
func TestClaimsCostWhatTheyAreSaidTo(t *testing.T) {
	for name, of := range map[string]func(i int) (key, peer string, at origin){
		"all new": func(i int) (string, string, origin) {
			return claimKey(i), claimPeer(i), at4(20+i>>16, i>>8&255, i&255, 1)
		},
		"one peer":         func(i int) (string, string, origin) { return claimKey(i), claimPeer(i / 20000), at4(20, 1, 1, 1) },
		"64 peers a key":   func(i int) (string, string, origin) { return claimKey(i / 64), claimPeer(i % 64), origin{} },
		"private, all new": func(i int) (string, string, origin) { return claimKey(i), claimPeer(i), origin{} },
	} {
		before := heapInUse()
		c := newClaims("self", maxClaimBytes)
		for i := range 30_000 {
			key, peer, at := of(i)
			c.add(key, peer, at, claimTime)
		}
		took := heapInUse() - before
		if int(took) > c.bytes {
			t.Errorf("%s: %d bytes on the heap, %d counted", name, took, c.bytes)
		}
		t.Logf("%s: %d bytes a claim, %d counted", name, took/30_000, c.bytes/30_000)
		runtime.KeepAlive(c)
	}
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkClaimOfAFullKey(b *testing.B) {
	c := newClaims("self", maxClaimBytes)
	for i := range b.N {
		c.add(claimKey(1), claimPeer(i), at4(20+i%200, i/200%256, 1, 1), claimTime)
	}
}
