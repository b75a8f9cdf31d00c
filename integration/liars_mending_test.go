package integration

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/lab/liar"
	"github.com/cairnstore/cairn/protocol"
)

// conspiracy is a group most of whose members lie, in answers and in requests of
// their own, and bring candidates of their own.
type conspiracy struct {
	*moving
	p        protocol.Profile
	group    protocol.GroupID
	rng      *rand.Rand
	liars    []*machine
	sybils   []*machine
	honest   []*machine // that the owner drew
	content  []byte
	link     protocol.Link
	segments []protocol.SegmentID
	counts   map[[2]int]bool // which honest machine was seen to count which other as a member
}

// conspire puts a file into a group and turns n−k−1 of its holders into liars.
func conspire(t *testing.T, seed uint64, lies []liar.Lie) *conspiracy {
	p := protocol.Profile{K: 4, R: 9, N: 14}
	c := &conspiracy{
		moving: newMoving(t, steady(seed, 20)), p: p, rng: rand.New(rand.NewPCG(seed, 9)),
		counts: make(map[[2]int]bool),
	}
	c.content = randomBytes(300 << 10) // shards of several leaves: proving another leaf than was asked for must not count
	c.link = c.storeBytes("x", c.content, p)
	for c.group = range c.margins(p.K) {
		break
	}
	time.Sleep(2 * day) // all have proved to all what they hold
	holders := c.holding(c.group)
	if len(holders) != p.N {
		t.Fatalf("%d of %d hold the file", len(holders), p.N)
	}
	for s, err := range holders[0].store.Shards(c.ctx, c.group) {
		if err != nil {
			t.Fatal(err)
		}
		c.segments = append(c.segments, s.Key.Segment)
	}
	c.rng.Shuffle(p.N, func(i, j int) { holders[i], holders[j] = holders[j], holders[i] })
	c.liars, c.honest = holders[:p.N-p.K-1], holders[p.N-p.K-1:]
	for i, m := range c.liars {
		c.turn(m, lies[i%len(lies)])
	}
	for range 3 {
		m := c.bear()
		c.turn(m, liar.Forget)
		c.sybils = append(c.sybils, m)
	}
	return c
}

// storeBytes has a new owner put a file, and leave.
func (w *moving) storeBytes(name string, b []byte, p protocol.Profile) protocol.Link {
	w.t.Helper()
	c, leave := w.client(true)
	defer leave()
	res, err := c.Put(w.ctx, client.Source{Reader: bytes.NewReader(b), Name: name, Size: int64(len(b)), MTime: time.Now()},
		client.PutOptions{Profile: p, Wait: time.Minute})
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return res.Link
}

// turn makes a machine a liar, which also stops repairing.
func (c *conspiracy) turn(m *machine, l liar.Lie) {
	c.end(m)
	m.lie = l
	c.start(m)
	c.t.Logf("machine %d (%s): %s", m.nr, protocol.ShortPeer(m.peer.Self()), l)
}

// plot has liars act until the network ends.
func (c *conspiracy) plot(act func(p *liar.Plot, round int, to peer.ID), from ...*machine) {
	var record, table []byte
	for _, m := range c.honest {
		if m.node == nil {
			continue
		}
		r, err := m.node.Members(c.ctx, protocol.Remote{Peer: c.liars[0].peer.Self()}, &protocol.MembersRequest{Group: c.group})
		if err != nil {
			c.t.Fatal(err)
		}
		record, table = r.Record, r.Table
	}
	var own []protocol.Envelope
	for _, m := range c.sybils {
		env, err := m.peer.Envelope()
		if err != nil {
			c.t.Fatal(err)
		}
		own = append(own, env)
	}
	for i, m := range from {
		caller := protocol.NewCaller(m.peer)
		p := &liar.Plot{
			Network: worldNetwork, Caller: caller, Key: m.peer.Key(), Group: c.group, Record: record, Table: table,
			Slots: c.p.N, Segments: c.segments, Accomplices: own, Rng: c.moving.rng(1000 + i),
		}
		c.loops.Go(func() {
			defer caller.Close()
			for round := 0; c.sleep(4 * time.Hour); round++ {
				for _, to := range c.members() {
					act(p, round, to)
				}
			}
		})
	}
}

// members are the honest machines that hold something of the group, and live.
func (c *conspiracy) members() (out []peer.ID) {
	for _, m := range c.trueHolders() {
		out = append(out, m.peer.Self())
	}
	return out
}

func (c *conspiracy) trueHolders() []*machine {
	return slices.DeleteFunc(c.holding(c.group), func(m *machine) bool { return m.lie != "" || m.peer == nil })
}

// look checks what must hold at every moment: no honest store has a shard that
// is not the owner's; and no honest member stops counting another that lives. It
// returns how many slots are kept by members that audits find good, and how many
// by honest ones. A keeper of shards that most members have not let in does not
// count.
func (c *conspiracy) look() (good, honest int) {
	c.t.Helper()
	members, of := c.views()
	var slots, own [protocol.MaxShards]bool
	for _, m := range c.holding(c.group) {
		if m.peer == nil || m.lie != "" && !slices.Contains(liar.Proves(), m.lie) {
			continue
		}
		in := 2*members[m.peer.Self()] > of
		for slot, kept := range c.kept(m) {
			whole := in && kept == len(c.segments)
			slots[slot] = slots[slot] || whole
			own[slot] = own[slot] || whole && m.lie == ""
		}
	}
	for slot := range c.p.N {
		if slots[slot] {
			good++
		}
		if own[slot] {
			honest++
		}
	}
	return good, honest
}

// whole reports whether a machine keeps a shard of every segment.
func (c *conspiracy) whole(m *machine) bool {
	for _, kept := range c.kept(m) {
		if kept == len(c.segments) {
			return true
		}
	}
	return false
}

// kept counts a machine's shards of the group by slot, and checks an honest
// one's.
func (c *conspiracy) kept(m *machine) map[uint8]int {
	c.t.Helper()
	out := make(map[uint8]int)
	for s, err := range m.store.Shards(c.ctx, c.group) {
		if err != nil {
			c.t.Fatal(err)
		}
		out[s.Key.Slot]++
		if m.lie == "" && (!slices.Contains(c.segments, s.Key.Segment) || m.store.Verify(c.ctx, s.Key) != nil) {
			c.t.Errorf("machine %d holds shard %s, which the owner never made", m.nr, s.Key)
		}
	}
	return out
}

// views compares honest members' tables with what they were. It returns how many
// of them count each peer as a member.
func (c *conspiracy) views() (members map[peer.ID]int, of int) {
	c.t.Helper()
	live := slices.DeleteFunc(c.trueHolders(), func(m *machine) bool { return !c.whole(m) })
	members = make(map[peer.ID]int)
	for _, m := range live {
		of++
		lists := c.table(m)
		for id, counts := range lists {
			if counts {
				members[id]++
			}
		}
		for _, other := range live {
			was, id := [2]int{m.nr, other.nr}, other.peer.Self()
			if c.counts[was] && !lists[id] {
				c.t.Errorf("machine %d (%s) counts machine %d (%s) no more, which lives and keeps its shards", m.nr, protocol.ShortPeer(m.peer.Self()), other.nr, protocol.ShortPeer(id))
			}
			c.counts[was] = lists[id]
		}
	}
	return members, of
}

// table returns which of the peers that hold something of the group a machine
// counts as members. It finds out by asking the machine, as each of them, to lend a
// segment that nobody has: only to peers that are not members it answers
// ErrDisputed.
func (c *conspiracy) table(m *machine) map[peer.ID]bool {
	lists := make(map[peer.ID]bool)
	for _, other := range c.holding(c.group) {
		if other.peer == nil || other == m {
			continue
		}
		_, _, _, err := m.node.Mend(c.ctx, protocol.Remote{Peer: other.peer.Self()}, &protocol.MendRequest{Group: c.group, Slot: protocol.AnySlot, Purpose: protocol.PurposeRepair})
		lists[other.peer.Self()] = !errors.Is(err, protocol.ErrDisputed)
	}
	return lists
}

// TestMendingAmongLiars makes n−k−1 members of a group lie in every message, each
// in its own way, and plot with candidates of their own. An honest holder dies, so
// that k are left; once the group is repaired, so many die that k+1 are left. Each
// time the group comes back to more than r slots kept by members that prove it to
// most others: there repair ends until the next loss. No honest store ever has a
// shard that the owner did not make, no honest holder that keeps its shards is
// dropped by another, and a stranger reads the file.
func TestMendingAmongLiars(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	synctest.Test(t, func(t *testing.T) {
		real, seed := stopwatch(), uint64(env("CAIRN_SEED", 11))
		lies := liar.All()
		rand.New(rand.NewPCG(seed, 8)).Shuffle(len(lies), func(i, j int) { lies[i], lies[j] = lies[j], lies[i] })
		c := conspire(t, seed, lies)
		c.remove(c.honest[0])
		c.plot(func(p *liar.Plot, _ int, to peer.ID) { p.Name(c.ctx, to); p.Crowd(c.ctx, to) }, append(c.liars[1:2:2], c.sybils...)...)
		c.plot(func(p *liar.Plot, round int, to peer.ID) {
			if round%6 == 0 {
				p.Tell(c.ctx, to)
			}
		}, c.liars[0])
		for wave := range 2 {
			for range 8 {
				c.bear()
			}
			days := c.until(45, func() bool { good, _ := c.look(); return good+c.faces() > c.p.R })
			good, honest := c.look()
			t.Logf("wave %d, %s real: after %d days %d slots are kept well, %d of them by honest holders", wave, real().Round(time.Second), days, good, honest)
			if good+c.faces() <= c.p.R {
				t.Fatalf("wave %d: not mended within %d days", wave, days)
			}
			reader, leave := c.client(false)
			if err := c.read(reader, c.link, c.content); err != nil {
				t.Errorf("wave %d: %v", wave, err)
			}
			leave()
			c.slay(honest - c.p.K - 1)
		}
	})
}

// faces counts the liars that half of the members find good and the others dead.
func (c *conspiracy) faces() (n int) {
	for _, m := range c.liars {
		if m.lie == liar.TwoFaced {
			n++
		}
	}
	return n
}

// slay takes the honest holders of some slots away.
func (c *conspiracy) slay(slots int) {
	burnt := make(map[uint8]bool)
	for _, m := range c.trueHolders() {
		for s, err := range m.store.Shards(c.ctx, c.group) {
			if err == nil && len(burnt) < slots {
				burnt[s.Key.Slot] = true
			}
			if err == nil && burnt[s.Key.Slot] {
				c.remove(m)
			}
			break
		}
	}
}
