package node

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"
)

func signHandover(t *testing.T, key crypto.PrivKey, g protocol.GroupID, slot int, to peer.ID) []byte {
	t.Helper()
	b, err := protocol.SignHandover(key, network, g, slot, to)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// passes lets in a peer that asked for a slot, as if it had passed the audit.
func (m *villager) passes(g protocol.GroupID, id peer.ID, slot int) {
	(&auditTurn{Node: m.node, group: g}).letIn(neighbours.AuditJob{Peer: id, Slot: slot, Entry: true})
}

// A handover moves its holder out once. Replayed after the holder took the slot
// again, it moves nobody.
func TestHandoverServesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slot = 1
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		time.Sleep(time.Hour)
		here, holder := h.all[0], h.all[slot].peer
		successor := h.net.Peer(memnet.PeerConfig{}).Self()
		signed := signHandover(t, holder.Key(), h.id, slot, successor)
		enter := func(from peer.ID, handover []byte) {
			t.Helper()
			_, err := here.node.Enter(t.Context(), protocol.Remote{Peer: from}, &protocol.EnterRequest{Group: h.id, Slot: slot, Handover: handover})
			if err != nil {
				t.Fatal(err)
			}
			here.passes(h.id, from, slot)
		}
		want := func(when string, members ...peer.ID) {
			t.Helper()
			for _, id := range []peer.ID{holder.Self(), successor} {
				if here.node.neighbours.IsMember(h.id, id) != slices.Contains(members, id) {
					t.Errorf("%s: member %v", when, !slices.Contains(members, id))
				}
			}
		}
		enter(successor, signed)
		want("handed over", successor)
		enter(successor, signed)
		want("asked again", successor)
		enter(holder.Self(), nil)
		want("the holder comes back", holder.Self(), successor)
		enter(successor, signed)
		want("a replay", holder.Self(), successor)
		here.node.neighbours.Lose(h.id, successor, slot, neighbours.LostFailed)
		want("the successor fails", holder.Self())
		enter(successor, signed)
		want("a replay by one that held the slot", holder.Self(), successor)
		h.close()
	})
}

// The domain caps bind a successor as every other, before the audit and after it.
func TestHandoverKeepsTheCaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const slot = 1
		h := newHamlet(t, protocol.Profile{K: 2, R: 3, N: 5}, 1, 1000, inMemory)
		time.Sleep(time.Hour)
		here, holder := h.all[0], h.all[slot].peer
		addr := func(text string) multiaddr.Multiaddr { return multiaddr.StringCast(text + "/tcp/4401") }
		for i, at := range []string{"", "/ip4/20.1.0.1", "/ip4/20.2.0.1", "/ip4/20.3.0.1", "/ip4/20.4.0.1"} {
			if i > 0 {
				here.node.neighbours.Place(h.all[i].peer.Self(), addr(at))
			}
		}
		ask := func(at string) (peer.ID, error) {
			p := h.net.Peer(memnet.PeerConfig{Addr: addr(at)})
			p.Learn(here.peer.AddrInfo())
			c := protocol.NewCaller(p)
			defer c.Close()
			return p.Self(), c.Enter(t.Context(), here.peer.Self(), &protocol.EnterRequest{Group: h.id, Slot: slot, Handover: signHandover(t, holder.Key(), h.id, slot, p.Self())})
		}
		if _, err := ask("/ip4/20.2.0.9"); !errors.Is(err, protocol.ErrCapped) {
			t.Errorf("in another holder's domain: %v", err)
		}
		id, err := ask("/ip4/20.9.0.9")
		if err != nil {
			t.Fatalf("in a domain of its own: %v", err)
		}
		here.node.neighbours.Place(h.all[3].peer.Self(), addr("/ip4/20.9.0.1")) // meanwhile another holder moved there
		here.passes(h.id, id, slot)
		if here.node.neighbours.IsMember(h.id, id) || !here.node.neighbours.IsMember(h.id, holder.Self()) {
			t.Error("crowded after the audit, and let in")
		}
		h.close()
	})
}

// A candidate takes a handover from the peer that nominated it or that holds the slot,
// keeps it over a restart, and does not give up a holder's for that of anybody else.
func TestTakeHandover(t *testing.T) {
	w := newWorld(t, 110, nil)
	o := w.newOwner()
	const slot = 2
	holder, drawer, stranger := o.members[slot], newIdentity(t, w.r), newIdentity(t, w.r)
	o.members[ownSlot] = newIdentity(t, w.r) // the table gives this node nothing
	var holders []peer.ID
	for _, m := range o.members {
		holders = append(holders, m.id)
	}
	o.table = o.tableOf(holders)
	give := func(by identity, slot, signed int, to peer.ID) error {
		_, err := w.node.Enter(t.Context(), at(by.id, ""), &protocol.EnterRequest{Group: o.id, Slot: slot, Handover: signHandover(t, by.key, o.id, signed, to)})
		return err
	}
	self := w.net.id
	wantCode(t, "before a nomination", give(drawer, slot, slot, self), protocol.CodeNotFound)
	nominate := func(by identity) {
		t.Helper()
		_, err := w.node.Nominate(t.Context(), at(by.id, ""), &protocol.NominateRequest{Group: o.id, Slot: slot, Record: o.record, Table: o.table, Bytes: 1000})
		if err != nil {
			t.Fatal(err)
		}
	}
	nominate(drawer)
	nominate(stranger) // later: it changes nothing
	for _, c := range []struct {
		name         string
		by           identity
		slot, signed int
		to           peer.ID
		want         protocol.Code
	}{
		{"by a stranger", stranger, slot, slot, self, protocol.CodeDisputed},
		{"by another slot's holder", o.members[0], slot, slot, self, protocol.CodeDisputed},
		{"of another slot", drawer, 0, 0, self, protocol.CodeWrongSlot},
		{"signed for another slot", drawer, slot, 0, self, protocol.CodeDenied},
		{"for another peer", drawer, slot, slot, stranger.id, protocol.CodeDenied},
		{"by who nominated it", drawer, slot, slot, self, 0},
		{"again", drawer, slot, slot, self, 0},
		{"by the holder", holder, slot, slot, self, 0},
		{"by who nominated it, after the holder", drawer, slot, slot, self, protocol.CodeDisputed},
		{"by the holder, again", holder, slot, slot, self, 0},
	} {
		wantCode(t, c.name, give(c.by, c.slot, c.signed, c.to), c.want)
	}
	w.restart()
	if _, err := protocol.OpenHandover(network, o.id, holder.id, w.node.handovers.of(o.id)); err != nil {
		t.Errorf("after a restart: %v", err)
	}
	notes := 0
	for f, err := range w.store.FactInfos(t.Context(), o.id) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Kind == note.Handover {
			notes++
		}
	}
	if notes != 1 {
		t.Errorf("%d notes are kept", notes)
	}
	wantCode(t, "by the holder, after a restart", give(holder, slot, slot, self), 0)
	if err := w.node.Drain(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "to one that leaves", give(holder, slot, slot, self), protocol.CodeDraining)
}

// boaster is a node that says that it keeps what it is given.
type boaster struct{ *Node }

func (boaster) Put(_ context.Context, _ protocol.Remote, _ *protocol.PutRequest, body io.Reader) (*protocol.PutReply, error) {
	_, err := io.Copy(io.Discard, body)
	return new(protocol.PutReply), err
}

func (boaster) Have(_ context.Context, _ protocol.Remote, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	m := new(protocol.HaveReply)
	for range r.Named {
		m.Held = append(m.Held, true)
	}
	return m, nil
}

// A node that leaves says so when nobody takes over, gives nothing up to one
// that only says that it takes over, and goes once somebody has.
func TestDrainAmongLiars(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newTown(t, 1)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		leaver := w.nodes[0]
		_, c := w.client()
		o := w.found(c, protocol.Profile{K: 1, R: 1, N: 1})
		like := owner{w: &world{t: t, r: seeded(t, 53)}, key: o.key, id: o.id}
		s := like.newSegmentOf(protocol.Profile{K: 1, R: 1, N: 1}, 100_000)
		put := &protocol.PutRequest{Record: o.record, Slot: 0, Descriptor: s.bytes, Grant: s.grant}
		if err := c.Put(t.Context(), w.peers[0].Self(), put, s.shards[0]); err != nil {
			t.Fatal(err)
		}
		if err := leaver.Drain(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Minute)
		if p := leaver.DrainProgress(); p.Done || !p.MustStay || p.SlotsLeft != 1 || p.Why == "" {
			t.Errorf("alone: %+v", p)
		}
		w.add(ctx)
		liar := w.nodes[1]
		w.peers[1].Serve(func(s protocol.Stream) { _ = protocol.Serve(ctx, s, boaster{liar}) })
		time.Sleep(3 * 24 * time.Hour)
		if p := leaver.DrainProgress(); p.Done || p.SlotsLeft != 1 {
			t.Errorf("beside a liar: %+v", p)
		}
		w.add(ctx)
		time.Sleep(24 * time.Hour)
		if p := leaver.DrainProgress(); !p.Done || p.MustStay || p.Why != "" {
			t.Errorf("with an honest node: %+v", p)
		}
		if _, err := w.nodes[2].store.OpenShard(t.Context(), storage.ShardKey{Segment: s.id}); err != nil {
			t.Errorf("at the successor: %v", err)
		}
		c.Close()
		stop()
		w.close()
	})
}

// A node that leaves waits for all members that answer, or, when it is late, for most
// of them.
func TestListings(t *testing.T) {
	for _, c := range []struct {
		l            listings
		early, later bool
	}{
		{listings{others: 0}, true, true}, // nobody else is in the group
		{listings{others: 5}, false, false},
		{listings{others: 5, asked: 5, answered: 5, listing: 5}, true, true},
		{listings{others: 5, asked: 5, answered: 3, listing: 3}, true, true},
		{listings{others: 5, asked: 5, answered: 2, listing: 2}, false, false}, // it is this node that is off
		{listings{others: 5, asked: 5, answered: 5, listing: 4}, false, true},
		{listings{others: 5, asked: 5, answered: 4, listing: 2}, false, false},
		{listings{others: 5, asked: 5, answered: 5, listing: 0}, false, false},
	} {
		if got := c.l.settled(false); got != c.early {
			t.Errorf("%+v: %v", c.l, got)
		}
		if got := c.l.settled(true); got != c.later {
			t.Errorf("%+v, late: %v", c.l, got)
		}
	}
}

// What nobody may take over stays until its lease ends, and the node says why.
func TestDrainFrozen(t *testing.T) {
	w := newWorld(t, 111, func(c *Config) { c.Key = c.Net.(*fakeNet).key })
	o := w.newOwner().found()
	o.mustPut(o.newSegment(1000))
	w.clock.step(70 * 24 * time.Hour)
	if err := w.node.Drain(); err != nil {
		t.Fatal(err)
	}
	if err := w.node.drainOnce(t.Context()); !errors.Is(err, errFrozen) {
		t.Errorf("a frozen group: %v", err)
	}
	other := w.newOwner()
	if _, err := New(Config{Network: network, Net: w.net, Store: w.store, Key: other.client.key}); !errors.Is(err, errConfig) {
		t.Errorf("another's key: %v", err)
	}
}

// On the slowest line that a donor may set, a node leaves as fast as that allows.
func TestDrainOnASlowLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const shards = 12
		w := limitedTown(t, contract.Terms{Up: contract.LeastRate, Down: contract.LeastRate})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		_, c := w.client()
		one := protocol.Profile{K: 1, R: 1, N: 1}
		o := w.found(c, one)
		like := owner{w: &world{t: t, r: seeded(t, 54)}, key: o.key, id: o.id}
		for range shards {
			s := like.newSegmentOf(one, 1<<20)
			if err := c.Put(t.Context(), w.peers[0].Self(), &protocol.PutRequest{Record: o.record, Slot: 0, Descriptor: s.bytes, Grant: s.grant}, s.shards[0]); err != nil {
				t.Fatal(err)
			}
		}
		c.Close()
		w.add(ctx)
		time.Sleep(time.Hour)
		if err := w.nodes[0].Drain(); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		for !w.nodes[0].DrainProgress().Done && time.Since(begun) < 24*time.Hour {
			time.Sleep(time.Second)
		}
		least := time.Second * (shards << 20) / contract.LeastRate
		if took := time.Since(begun); took > 2*least || took < least*9/10 {
			t.Errorf("it took %s, %s at the rate: %+v", took, least, w.nodes[0].DrainProgress())
		}
		stop()
		w.close()
	})
}
