package group

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/cairnstore/cairn/protocol"
)

// at returns a candidate in a /24 of a /16, both given by number.
func at(wide, domain, nr int) Candidate {
	return Candidate{
		Peer: peer.ID(fmt.Sprintf("%d.%d.%d", wide, domain, nr)),
		Addr: netip.AddrFrom4([4]byte{byte(11 + wide>>8), byte(wide), byte(domain), byte(nr)}),
		Free: 1 << 40,
	}
}

// crowd returns candidates of as many domains, each in a /16 of its own.
func crowd(domains int) (out []Candidate) {
	for i := range domains {
		out = append(out, at(i, 0, 1))
	}
	return out
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func mustLadder(t *testing.T, domains int) protocol.Profile {
	t.Helper()
	p, ok := Ladder(domains)
	if !ok {
		t.Fatalf("no profile for %d domains", domains)
	}
	return p
}

func TestDrawThousandIdentitiesInOnePrefix(t *testing.T) {
	for seed := range uint64(50) {
		cands := crowd(20)
		for i := range 1000 {
			c := at(999, 7, i%250)
			c.Peer += peer.ID(strconv.Itoa(i))
			cands = append(cands, c)
		}
		p := mustLadder(t, Domains(cands, false))
		slots := Assign(Draw(cands, p, 1, false, seeded(seed)), p.N, false)
		evil := 0
		for _, c := range slots {
			if c.Addr.As4()[1] == 999&0xff {
				evil++
			}
		}
		if evil > 1 || len(slots) != p.N {
			t.Fatalf("seed %d: %d of %d slots in one prefix", seed, evil, len(slots))
		}
	}
}

func TestDrawWholeWidePrefix(t *testing.T) {
	cands := crowd(40)
	for i := range 256 {
		cands = append(cands, at(999, i, 1))
	}
	p := protocol.Profile{K: 8, R: 20, N: 30}
	for seed := range uint64(50) {
		s := SpreadOf(Assign(Draw(cands, p, 1, false, seeded(seed)), p.N, false), false)
		if s.Crowded != 0 || s.Domains != p.N {
			t.Fatalf("seed %d: %+v", seed, s)
		}
	}
}

// Three /16 of five /24 each: the caps allow six members, the profile wants
// fourteen, so the prefixes fill evenly and SpreadOf shows it.
func TestDrawBeyondWideCap(t *testing.T) {
	var cands []Candidate
	for wide := range 3 {
		for d := range 5 {
			cands = append(cands, at(wide, d, 1))
		}
	}
	p := mustLadder(t, Domains(cands, false))
	draw := Draw(cands, p, 1, false, seeded(1))
	if len(draw) != 15 {
		t.Fatalf("%d candidates drawn of 15 domains", len(draw))
	}
	for taken := 3; taken <= 15; taken += 3 {
		in := make(map[byte]int)
		for _, c := range draw[:taken] {
			in[c.Addr.As4()[1]]++
		}
		for _, n := range in {
			if taken > 6 && n != taken/3 {
				t.Fatalf("after %d: %v", taken, in)
			}
		}
	}
	if s := SpreadOf(draw[:p.N], false); s.Crowded != 8 || s.Wide != 3 || s.Doubled != 0 {
		t.Fatalf("spread %+v", s)
	}
	if prefixes, warn := HostileHint(cands, false); !warn || prefixes != 3 {
		t.Fatalf("hint: %d prefixes, warn %v", prefixes, warn)
	}
}

func TestHostileHint(t *testing.T) {
	if n, warn := HostileHint(crowd(20), false); warn || n != 20 {
		t.Errorf("twenty prefixes: %d, warn %v", n, warn)
	}
	if _, warn := HostileHint(crowd(20), true); warn {
		t.Error("warns of a private network")
	}
	if _, warn := HostileHint(nil, false); warn {
		t.Error("warns of nobody")
	}
	if n, warn := HostileHint([]Candidate{at(0, 0, 1), at(0, 1, 1), at(0, 2, 1)}, false); !warn || n != 1 {
		t.Errorf("three nodes in one /16: %d, warn %v", n, warn)
	}
}

func TestDrawOwnLast(t *testing.T) {
	own := at(500, 0, 1)
	own.Own = true
	p := mustLadder(t, 3)
	for seed := range uint64(50) {
		draw := Draw(append([]Candidate{own}, crowd(2)...), p, 1, false, seeded(seed))
		if len(draw) != 3 || !draw[2].Own {
			t.Fatalf("seed %d: %v", seed, draw)
		}
	}
	// It answers first, being near, and still comes last.
	slots := Assign(append([]Candidate{own}, crowd(3)...), 3, false)
	if slices.ContainsFunc(slots, func(c Candidate) bool { return c.Own }) {
		t.Fatalf("own node took a slot that others would have: %v", slots)
	}
	slots = Assign(append([]Candidate{own}, crowd(2)...), 3, false)
	if len(slots) != 3 || !slots[2].Own {
		t.Fatalf("own node not last: %v", slots)
	}
	// The second peer of another domain does not come before it.
	cands := []Candidate{own, at(0, 0, 1), at(0, 0, 2), at(1, 0, 1)}
	for seed := range uint64(50) {
		draw := Draw(cands, p, 1, false, seeded(seed))
		if len(draw) != 3 || !draw[2].Own {
			t.Fatalf("seed %d: %v", seed, draw)
		}
	}
}

func TestDrawFewerDomainsThanSlots(t *testing.T) {
	cands := []Candidate{at(0, 0, 1), at(0, 0, 2), at(0, 0, 3), at(1, 0, 1)}
	p := protocol.Profile{K: 1, R: 2, N: 4}
	draw := Draw(cands, p, 1, false, seeded(1))
	if len(draw) != 4 {
		t.Fatalf("%v", draw)
	}
	if s := SpreadOf(draw[:2], false); s.Domains != 2 {
		t.Fatalf("a second peer of a domain before the first of another: %v", draw)
	}
	if s := SpreadOf(draw, false); s.Doubled != 2 {
		t.Fatalf("spread %+v", s)
	}
}

func TestDrawEligible(t *testing.T) {
	cands := crowd(4)
	cands[0].Free = 9
	cands[1].Uptime = MinUptime - 0.01
	cands[2].Uptime = MinUptime
	cands = append(cands, cands[2]) // named twice
	draw := Draw(cands, protocol.Profile{K: 1, R: 2, N: 3}, 10, false, seeded(1))
	if len(draw) != 2 || slices.ContainsFunc(draw, func(c Candidate) bool { return c.Peer == cands[0].Peer || c.Peer == cands[1].Peer }) {
		t.Fatalf("%v", draw)
	}
	if n := Domains(cands, false); n != 3 {
		t.Fatalf("%d domains", n)
	}
	if draw := Draw(nil, protocol.Profile{K: 1, R: 1, N: 1}, 1, false, seeded(1)); len(draw) != 0 {
		t.Fatalf("drew %v of nobody", draw)
	}
}

func TestDrawPrivateNetwork(t *testing.T) {
	var cands []Candidate
	for i := range 20 {
		cands = append(cands, Candidate{Peer: peer.ID(strconv.Itoa(i)), Addr: netip.MustParseAddr("127.0.0.1"), Free: 1})
	}
	private := Private(cands)
	p := mustLadder(t, Domains(cands, private))
	if draw := Draw(cands, p, 1, private, seeded(1)); p.N != 14 || len(draw) != 20 {
		t.Fatalf("%s among %d", p, len(draw))
	}
	if n := Domains(cands, false); n != 1 {
		t.Fatalf("a local network counts as %d domains of a public one", n)
	}
}

// Each domain is drawn as often as any other, whatever its population. With
// 1,000 draws of 6 of 20 domains the counts have mean 300; χ² over 20
// domains exceeds 60 once in some 200,000 seeds.
func TestDrawUniformOverDomains(t *testing.T) {
	var cands []Candidate
	for d := range 20 {
		for i := range 1 + d*d {
			c := at(d, 0, i%250)
			c.Peer += peer.ID(strconv.Itoa(i))
			cands = append(cands, c)
		}
	}
	seed := rand.Uint64()
	rng := seeded(seed)
	p := protocol.Profile{K: 2, R: 4, N: 6}
	const rounds = 1000
	var count [20]int
	for range rounds {
		for _, c := range Draw(cands, p, 1, false, rng)[:p.N] {
			count[c.Addr.As4()[1]]++
		}
	}
	mean := float64(rounds*p.N) / 20
	chi := 0.0
	for _, n := range count {
		chi += (float64(n) - mean) * (float64(n) - mean) / mean
	}
	if chi > 60 {
		t.Fatalf("seed %d: χ² %.1f over %v", seed, chi, count)
	}
}

// candidates generates networks of all shapes and sizes: crowded prefixes,
// relays, local peers, unknown addresses, own nodes, full nodes.
func candidates() *rapid.Generator[[]Candidate] {
	return rapid.Custom(func(t *rapid.T) []Candidate {
		out := make([]Candidate, rapid.SampledFrom([]int{0, 1, 2, 3, 5, 8, 20, 60, 200, 500}).Draw(t, "size"))
		wides := rapid.SampledFrom([]int{1, 2, 7, 40, 200}).Draw(t, "wides")
		rng := seeded(rapid.Uint64().Draw(t, "network"))
		for i := range out {
			c := at(rng.IntN(wides), rng.IntN(5), rng.IntN(4))
			c.Peer += peer.ID(strconv.Itoa(rng.IntN(9)))
			c.Own = rng.IntN(10) == 0
			c.Free = int64(rng.IntN(20))
			c.Uptime = []float64{0, 0, 0, 0.3, 0.9}[rng.IntN(5)]
			switch rng.IntN(20) {
			case 0:
				c.Addr = netip.Addr{}
			case 1:
				c.Addr, c.Relay = netip.Addr{}, "relay"
			case 2:
				c.Addr = netip.MustParseAddr("192.168.0.7")
			}
			out[i] = c
		}
		return out
	})
}

func TestDrawKeepsCaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cands := candidates().Draw(t, "candidates")
		before := slices.Clone(cands)
		private := rapid.Bool().Draw(t, "private")
		need := int64(5)
		rng := seeded(rapid.Uint64().Draw(t, "seed"))
		withRoom := slices.DeleteFunc(slices.Clone(cands), func(c Candidate) bool { return c.Free < need })
		p, ok := Ladder(Domains(withRoom, private))
		if !ok {
			return
		}
		draw := Draw(cands, p, need, private, rng)
		if !slices.Equal(cands, before) {
			t.Fatal("the draw changed what it was given")
		}
		if len(draw) < p.N {
			t.Fatalf("%d candidates for profile %s of the ladder", len(draw), p)
		}
		s := SpreadOf(draw, private)
		if s.Doubled != 0 {
			t.Fatalf("%s: %+v", p, s)
		}
		ownSeen := false
		for _, c := range draw {
			if !c.eligible(need) || ownSeen && !c.Own {
				t.Fatalf("%+v out of place", c)
			}
			ownSeen = ownSeen || c.Own
		}
		checkAssign(t, draw, p, private, rng)
	})
}

// checkAssign lets some of those asked decline and the rest answer in any order.
func checkAssign(t *rapid.T, draw []Candidate, p protocol.Profile, private bool, rng *rand.Rand) {
	answers := slices.Clone(draw[:min(len(draw), AskCount(p))])
	rng.Shuffle(len(answers), func(i, j int) { answers[i], answers[j] = answers[j], answers[i] })
	answers = answers[:rapid.IntRange(0, len(answers)).Draw(t, "answers")]
	slots := Assign(answers, p.N, private)
	if len(slots) != min(len(answers), p.N) {
		t.Fatalf("%d slots of %d answers", len(slots), len(answers))
	}
	s := SpreadOf(slots, private)
	if s.Doubled != 0 {
		t.Fatalf("assigned %+v", s)
	}
	// No wide prefix is above its cap while a domain within the caps has no slot.
	for _, a := range answers {
		if s.Crowded == 0 || a.Own || slices.Contains(slots, a) {
			continue
		}
		if SpreadOf(append(slices.Clone(slots), a), private).Crowded == s.Crowded {
			t.Fatalf("%+v left out of %+v", a, s)
		}
	}
}

// One seed gives one draw, whatever else runs.
func TestDrawReproducible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		cands := candidates().Draw(t, "candidates")
		seed := rapid.Uint64().Draw(t, "seed")
		p := protocol.Profile{K: 4, R: 9, N: 14}
		if !slices.Equal(Draw(cands, p, 1, false, seeded(seed)), Draw(cands, p, 1, false, seeded(seed))) {
			t.Fatal("two draws of one seed differ")
		}
	})
}

func BenchmarkDraw10000(b *testing.B) {
	cands := make([]Candidate, 0, 10_000)
	for i := range 10_000 {
		cands = append(cands, at(i%600, i/600, i%200))
	}
	p := protocol.Profile{K: 20, R: 36, N: 56}
	rng := seeded(1)
	b.ReportAllocs()
	for b.Loop() {
		Draw(cands, p, 1, false, rng)
	}
}
