package integration

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"

	cairnnode "github.com/cairnstore/cairn/node"
)

// twoBeats is how long after a healing all members must agree again.
const twoBeats = 15 * time.Hour // 2 × 6 h, and a fifth for chance

// adverse is a network whose machines are never switched off, with some groups
// whose owners are away. A test disturbs it and looks at how the members react.
type adverse struct {
	*moving
	profile protocol.Profile
	clocks  *clocks
	links   []protocol.Link
	seated  map[chair]int // the machine that each slot was given to
	peak    int64         // bytes that repair moved within the worst hour so far
	expired bool          // some member gave up a lease
}

// lengthy skips a test that takes more than some seconds, unless CAIRN_LONG asks
// for it.
func lengthy(t *testing.T) {
	t.Helper()
	if os.Getenv("CAIRN_LONG") == "" {
		t.Skip("takes a while: runs with CAIRN_LONG=1")
	}
}

// chair is a slot of a group.
type chair struct {
	group protocol.GroupID
	slot  uint8
}

// disturb runs a test on a network of some machines and groups, once these have
// been audited and the network has come to rest.
func disturb(t *testing.T, seed uint64, nodes, groups int, p protocol.Profile, do func(t *testing.T, a *adverse)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		real, k := stopwatch(), newClocks()
		c := steady(seed, nodes)
		calm := c.config
		c.config = func(cfg *cairnnode.Config) { calm(cfg); k.set(cfg) }
		a := &adverse{moving: newMoving(t, c), profile: p, clocks: k, seated: make(map[chair]int)}
		for i := range groups {
			a.links = append(a.links, a.store(i, p))
		}
		time.Sleep(2 * day)
		a.seated = a.shards()
		if len(a.seated) != groups*p.N {
			t.Fatalf("%d of %d slots are filled", len(a.seated), groups*p.N)
		}
		do(t, a)
		t.Logf("%s real", real().Round(time.Millisecond))
	})
}

// shards returns which machine holds shards of which slot; of two, the one that
// the owner did not give the slot to.
func (a *adverse) shards() map[chair]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make(map[chair]int)
	for _, nr := range slices.Sorted(maps.Keys(a.machines)) {
		m := a.machines[nr]
		for g := range m.store.Groups(a.ctx) {
			for s, err := range m.store.Shards(a.ctx, g) {
				at := chair{g, s.Key.Slot}
				was, seated := a.seated[at]
				if _, known := out[at]; err == nil && (!known || seated && was != nr) {
					out[at] = nr
				}
			}
		}
	}
	return out
}

// replaced returns the slots whose shards are held by another machine than the one
// that the owner gave the slot to, or by another one as well.
func (a *adverse) replaced() (out []chair) {
	for at, nr := range a.shards() {
		if was, ok := a.seated[at]; !ok || was != nr {
			out = append(out, at)
		}
	}
	return out
}

// pass lets time go by. Each hour it looks how much repair moved, and at the end
// whether some lease has ended.
func (a *adverse) pass(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		before := a.repaired()
		time.Sleep(min(time.Hour, time.Until(end)))
		a.peak = max(a.peak, a.repaired()-before)
	}
	for _, m := range a.up() {
		if m.node.Status().Expired > 0 {
			a.expired = true
		}
	}
}

// repaired returns the bytes of shards that were fetched and put for repair.
func (a *adverse) repaired() int64 {
	t := a.traffic()
	return t.Borrowed + t.Given
}

// up returns the machines that are switched on, by number.
func (a *adverse) up() (out []*machine) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, nr := range slices.Sorted(maps.Keys(a.machines)) {
		if m := a.machines[nr]; m.node != nil {
			out = append(out, m)
		}
	}
	return out
}

// someOf draws machines.
func (a *adverse) someOf(n int, from []*machine) []*machine {
	r := a.rng(1 << 20)
	out := slices.Clone(from)
	r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:n]
}

func ids(list []*machine) []peer.ID {
	out := make([]peer.ID, len(list))
	for i, m := range list {
		out[i] = m.peer.Self()
	}
	return out
}

// heal makes all links whole; what repair moves is measured anew from then on.
func (a *adverse) heal() {
	a.net.Heal()
	a.peak = 0
}

// unmoved checks that what was done to the network moved nothing: no slot was
// given to another, no shard fetched or made again, no lease ended or frozen.
func (a *adverse) unmoved(what string) {
	a.t.Helper()
	a.kept(what)
	if a.peak > 0 {
		a.t.Errorf("%s: repair moved %d bytes within an hour", what, a.peak)
	}
}

// kept checks that no slot was given to another, and no lease ended or frozen.
func (a *adverse) kept(what string) {
	a.t.Helper()
	if r := a.replaced(); len(r) > 0 {
		a.t.Errorf("%s: %d slots replaced whose holders are there", what, len(r))
	}
	if a.expired {
		a.t.Errorf("%s: a lease ended", what)
	}
	for _, m := range a.up() {
		if n := m.node.Status().Frozen; n > 0 {
			a.t.Errorf("%s: machine %d keeps %d groups frozen", what, m.nr, n)
		}
	}
}

// agree checks that all members see one another, and the same holders. A candidate
// that one of them drew in vain is no member: it keeps the group's facts for two
// days, and no shard.
func (a *adverse) agree(what string) {
	a.t.Helper()
	views := make(map[protocol.GroupID]map[string]int)
	for _, m := range a.up() {
		s := m.node.Status()
		if s.CutOff {
			a.t.Errorf("%s: machine %d believes itself cut off", what, m.nr)
		}
		if s.Vacant > 0 {
			a.t.Errorf("%s: machine %d sees %d slots vacant", what, m.nr, s.Vacant)
		}
		for state, n := range s.Neighbours {
			if state != liveness.Present.String() && n > 0 {
				a.t.Errorf("%s: machine %d sees %d neighbours %s", what, m.nr, n, state)
			}
		}
	}
	for i := range a.links {
		g := a.groupOf(i)
		views[g] = make(map[string]int)
		for _, m := range a.holding(g) {
			views[g][a.view(m, g)]++
		}
	}
	for g, v := range views {
		if len(v) != 1 {
			a.t.Errorf("%s: the members of group %s have %d views: %v", what, g.Prefix(), len(v), v)
		}
	}
}

// view tells which peers a machine considers the holders of a group's slots.
func (a *adverse) view(m *machine, g protocol.GroupID) (text string) {
	for _, other := range a.up() {
		if other == m {
			continue
		}
		r, err := m.node.Members(a.ctx, protocol.Remote{Peer: other.peer.Self()}, &protocol.MembersRequest{Group: g})
		if err != nil {
			continue
		}
		for _, h := range r.Members {
			rec, err := h.Envelope.Open()
			if err != nil {
				a.t.Fatal(err)
			}
			text += fmt.Sprintf("%d:%s ", h.Slot, protocol.ShortPeer(rec.Peer))
		}
		return text
	}
	return "shown to nobody"
}

// reads checks that every file can still be read.
func (a *adverse) reads(what string) {
	a.t.Helper()
	c, leave := a.client(false)
	defer leave()
	for i, l := range a.links {
		if err := a.read(c, l, content(i)); err != nil {
			a.t.Errorf("%s: file %d: %v", what, i, err)
		}
	}
}

// clocks are the machines' own: a wall clock that may be set, and one that
// stops while the machine sleeps.
type clocks struct {
	mu     sync.Mutex
	ahead  map[peer.ID]time.Duration // of the wall clock
	asleep map[peer.ID]time.Time     // since when
	slept  map[peer.ID]time.Duration
}

func newClocks() *clocks {
	return &clocks{ahead: make(map[peer.ID]time.Duration), asleep: make(map[peer.ID]time.Time), slept: make(map[peer.ID]time.Duration)}
}

// set gives a node its machine's clocks.
func (k *clocks) set(cfg *cairnnode.Config) {
	id, began := cfg.Net.Self(), time.Now()
	cfg.Now = func() time.Time {
		k.mu.Lock()
		defer k.mu.Unlock()
		return time.Now().Round(0).Add(k.ahead[id])
	}
	cfg.Mono = func() time.Duration {
		k.mu.Lock()
		defer k.mu.Unlock()
		at := time.Now()
		if since, ok := k.asleep[id]; ok {
			at = since
		}
		return at.Sub(began) - k.slept[id]
	}
}

// step sets a machine's wall clock.
func (k *clocks) step(id peer.ID, ahead time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ahead[id] = ahead
}

// sleep suspends a machine; wake has it go on.
func (k *clocks) sleep(m *machine) {
	m.peer.Freeze()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asleep[m.peer.Self()] = time.Now()
}

func (k *clocks) wake(m *machine) {
	k.mu.Lock()
	id := m.peer.Self()
	k.slept[id] += time.Since(k.asleep[id])
	delete(k.asleep, id)
	k.mu.Unlock()
	m.peer.Thaw()
}
