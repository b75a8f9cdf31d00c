package node

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"
)

// village is some nodes in memory that share one group and keep in touch, and
// nothing else, so that weeks pass in a moment.
type village struct {
	t     *testing.T
	net   *memnet.Net
	group *townOwner
	all   []*villager
}

type villager struct {
	v     *village
	peer  *memnet.Peer
	store storage.Store
	cfg   Config
	node  *Node
	stop  context.CancelFunc
	loops sync.WaitGroup

	mu    sync.Mutex
	ahead time.Duration // of the true time
}

func newVillage(t *testing.T, change func(*Config)) *village {
	v := &village{t: t, net: memnet.New(memnet.Config{Seed: 60, Latency: 10 * time.Millisecond})}
	for range profile.N {
		m := &villager{v: v, store: storage.NewMemory(storage.Config{})}
		m.peer = v.net.Peer(memnet.PeerConfig{Server: true})
		m.cfg = Config{Network: network, Net: m.peer, Store: m.store, Donated: 1 << 30, Now: m.now, Mono: monotonic()}
		if change != nil {
			change(&m.cfg)
		}
		v.all = append(v.all, m)
		m.start()
	}
	w := &town{t: t, net: v.net}
	for _, m := range v.all {
		w.peers = append(w.peers, m.peer)
	}
	client := v.net.Peer(memnet.PeerConfig{NoListen: true})
	for _, m := range v.all {
		client.Learn(m.peer.AddrInfo())
	}
	c := protocol.NewCaller(client)
	v.group = w.found(c, profile)
	for i, m := range v.all {
		r := &protocol.PutRequest{Record: v.group.record, Slot: i, Descriptor: v.group.seg.bytes, Grant: v.group.seg.grant}
		if err := c.Put(t.Context(), m.peer.Self(), r, v.group.seg.shards[i]); err != nil {
			t.Fatal(err)
		}
	}
	c.Close()
	return v
}

func monotonic() func() time.Duration {
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

func (m *villager) now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return time.Now().Add(m.ahead).Round(0)
}

func (m *villager) step(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ahead += d
}

// start begins a run over what the store has.
func (m *villager) start() {
	m.v.t.Helper()
	n, err := New(m.cfg)
	if err != nil {
		m.v.t.Fatal(err)
	}
	m.node = n
	m.peer.Start()
	m.peer.Serve(n.Serve)
	ctx, stop := context.WithCancel(m.v.t.Context())
	m.stop = stop
	m.loops.Go(func() { n.beatLoop(ctx) })
	m.loops.Go(func() { n.notesLoop(ctx) })
}

// end stops it as Run does; kill as a power cut does.
func (m *villager) end() {
	m.kill()
	if err := m.node.saveViews(m.v.t.Context(), true); err != nil {
		m.v.t.Error(err)
	}
}

func (m *villager) kill() {
	m.stop()
	m.loops.Wait()
	m.peer.Stop()
	m.node.caller.Close()
}

func (v *village) close() {
	for _, m := range v.all {
		m.kill()
	}
	if err := v.net.Close(); err != nil {
		v.t.Error(err)
	}
}

// sees returns how one stands in the eyes of another.
func (m *villager) sees(o *villager) neighbours.Holder {
	m.v.t.Helper()
	for _, h := range m.node.neighbours.Holders(m.v.group.id) {
		if h.Peer == o.peer.Self() {
			return h
		}
	}
	m.v.t.Fatal("not a neighbour")
	return neighbours.Holder{}
}

// want fails unless some see one in a state, as a member or not.
func (v *village) want(what string, some []*villager, one *villager, state liveness.State, member bool) {
	v.t.Helper()
	for i, m := range some {
		if h := m.sees(one); m != one && (h.State != state || h.Member != member) {
			v.t.Errorf("%s: %d sees %s, a member: %v", what, i, h.State, h.Member)
		}
	}
}

func (v *village) allPresent(what string, but ...*villager) {
	v.t.Helper()
	for _, m := range v.all {
		for _, o := range v.all {
			if m == o || len(but) > 0 && (m == but[0] || o == but[0]) {
				continue
			}
			v.want(what, []*villager{m}, o, liveness.Present, true)
		}
	}
}

func TestSilentNodeIsAbsentThenGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, nil)
		time.Sleep(24 * time.Hour)
		v.allPresent("after a day")
		last := v.all[5]
		last.kill()
		others := v.all[:5]
		time.Sleep(23 * time.Hour)
		v.want("in the first day", others, last, liveness.Present, true)
		time.Sleep(12 * time.Hour)
		v.want("after a day", others, last, liveness.Absent, true)
		time.Sleep(5*24*time.Hour + 11*time.Hour)
		v.want("in the first week", others, last, liveness.Absent, true)
		if n := v.all[0].node.Status().Vacant; n != 0 {
			t.Errorf("%d slots vacant in the first week", n)
		}
		time.Sleep(24 * time.Hour)
		v.want("after a week", others, last, liveness.Gone, false)
		if n := v.all[0].node.Status().Vacant; n != 1 {
			t.Errorf("%d slots vacant after a week", n)
		}
		v.allPresent("all the while", last)
		last.start()
		time.Sleep(12 * time.Hour)
		v.want("back, and without its slot", others, last, liveness.Present, false)
		for i, m := range others {
			if back := m.node.neighbours.TakeBack(); len(back) != 1 || back[0] != last.peer.Self() {
				t.Errorf("%d: %d are back", i, len(back))
			}
		}
		v.close()
	})
}

// A node that is off every night, or killed every night, comes to the same view as
// the others: only later, by the time for which it was off.
func TestRestartsKeepTheClocks(t *testing.T) {
	for name, end := range map[string]func(*villager){"stopped": (*villager).end, "killed": (*villager).kill} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := newVillage(t, nil)
				time.Sleep(24 * time.Hour)
				last := v.all[5]
				last.kill()
				for day := range 17 {
					for i, m := range v.all[:2] {
						if h := m.sees(last); day <= 7 && (h.State == liveness.Gone || !h.Member) {
							t.Errorf("%d: gone after %d days", i, day)
						}
					}
					time.Sleep(13 * time.Hour)
					for _, m := range v.all[:2] {
						end(m)
					}
					time.Sleep(11 * time.Hour)
					for _, m := range v.all[:2] {
						m.start()
					}
				}
				time.Sleep(2 * time.Hour)
				v.want("at last", v.all[:2], last, liveness.Gone, false)
				v.allPresent("all the while", last)
				for i, m := range v.all[:2] {
					kinds := make(map[uint8]int)
					for f, err := range m.store.Facts(t.Context(), v.group.id) {
						if err != nil {
							t.Fatal(err)
						}
						kinds[f.Kind]++
					}
					if kinds[note.Seats] > 2 || kinds[note.Standings] > 2 {
						t.Errorf("%d: notes pile up: %v", i, kinds)
					}
				}
				v.close()
			})
		})
	}
}

// A node that is cut off finds nobody gone, whatever it is that cuts it off.
func TestCutOffNodeJudgesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, nil)
		time.Sleep(48 * time.Hour)
		one := v.all[0]
		v.net.Partition([]peer.ID{one.peer.Self()})
		time.Sleep(6 * 24 * time.Hour)
		if !one.node.neighbours.CutOff() {
			t.Error("it does not notice")
		}
		for _, o := range v.all[1:] {
			v.want("cut off", []*villager{one}, o, liveness.Present, true)
			v.want("the others", []*villager{o}, one, liveness.Absent, true)
		}
		v.net.Heal()
		time.Sleep(12 * time.Hour)
		v.allPresent("mended")
		if one.node.neighbours.CutOff() {
			t.Error("it believes itself cut off still")
		}
		v.close()
	})
}

// Whatever the wall clock does, it makes nobody gone.
func TestClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, nil)
		time.Sleep(24 * time.Hour)
		last := v.all[5]
		last.kill()
		time.Sleep(26 * time.Hour)
		for _, d := range []time.Duration{3 * time.Hour, 100 * 365 * 24 * time.Hour, -102 * 365 * 24 * time.Hour, -3 * time.Hour} {
			for _, m := range v.all[:2] {
				m.step(d)
			}
			time.Sleep(13 * time.Hour)
			v.want("after a step", v.all[:5], last, liveness.Absent, true)
			v.allPresent("after a step", last)
			if _, n, stepped := v.all[0].node.neighbours.Clocks(12 * time.Hour); stepped || n != 4 {
				t.Errorf("%d clocks heard, or 13 hours count as 12", n)
			}
			if median, _, stepped := v.all[0].node.neighbours.Clocks(14 * time.Hour); !stepped || d > time.Hour && v.all[0].node.now().Sub(median) < time.Hour {
				t.Errorf("%v go unnoticed: the others say %v", d, median)
			}
			v.all[1].end()
			v.all[1].start()
		}
		v.close()
	})
}

// A node that speaks and cannot be asked is of no use to anybody: it is gone in
// the end, and counts again as soon as it can be asked.
func TestWhoSpeaksAndNeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, nil)
		time.Sleep(24 * time.Hour)
		last := v.all[5]
		last.peer.SetWrapper(func(func(protocol.Stream)) func(protocol.Stream) {
			return func(s protocol.Stream) { _ = s.Reset() }
		})
		time.Sleep(34 * time.Hour)
		v.want("one way", v.all[:5], last, liveness.Absent, true)
		for _, o := range v.all[:5] {
			v.want("the other way", []*villager{last}, o, liveness.Present, true)
		}
		last.peer.SetWrapper(nil)
		time.Sleep(2 * time.Minute) // until a beat may be brought forward again
		for _, o := range v.all[:5] {
			last.node.beat(t.Context(), o.peer.Self())
		}
		time.Sleep(time.Minute)
		v.want("heard, so asked at once", v.all[:5], last, liveness.Present, true)
		v.close()
	})
}

// A node whose disk is missing is suspended until it no longer says so. It is asked
// for that on time, even if it answers many other messages meanwhile.
func TestDiskComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, nil)
		last, others := v.all[5], v.all[:5]
		last.store.(*storage.Memory).Unmount(true)
		time.Sleep(24 * time.Hour)
		v.want("without its disk", others, last, liveness.Suspended, true)
		last.store.(*storage.Memory).Unmount(false)
		for range 9 {
			time.Sleep(time.Hour)
			for _, m := range others {
				if _, err := m.node.caller.Info(t.Context(), last.peer.Self()); err != nil {
					t.Error(err)
				}
			}
		}
		v.want("with its disk", others, last, liveness.Present, true)
		last.store.(*storage.Memory).Unmount(true)
		time.Sleep(9 * time.Hour)
		v.want("without its disk again", others, last, liveness.Suspended, true)
		last.store.(*storage.Memory).Unmount(false)
		for _, m := range others {
			last.node.beat(t.Context(), m.peer.Self())
		}
		time.Sleep(time.Minute)
		v.want("as it says itself", others, last, liveness.Present, true)
		v.close()
	})
}

// What a node says of itself reaches its neighbours, and excuses it.
func TestAwayAndDraining(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVillage(t, nil)
		last := v.all[5]
		if _, err := last.node.Away(10 * 24 * time.Hour); err != nil {
			t.Fatal(err)
		}
		if err := last.node.Drain(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(24 * time.Hour)
		last.kill()
		time.Sleep(8 * 24 * time.Hour)
		v.want("away", v.all[:5], last, liveness.Away, true)
		if h := v.all[0].sees(last); !h.Draining {
			t.Error("that it drains is lost")
		}
		v.close()
	})
}

// TestStoredEnvelope finds a neighbour's addresses without the group being
// loaded, however many grants it has.
func TestStoredEnvelope(t *testing.T) {
	w := newWorld(t, 61, nil)
	m, other := newIdentity(t, w.r), newIdentity(t, w.r)
	gid := protocol.GroupID(protocol.Sum([]byte("group")))
	for _, e := range []protocol.Envelope{
		m.envelope(t, 5, "/ip4/10.0.0.9/tcp/1"),
		m.envelope(t, 7, "/ip4/10.0.0.9/tcp/2"),
		m.envelope(t, 6, "/ip4/10.0.0.9/tcp/3"),
		other.envelope(t, 8, "/ip4/10.0.0.9/tcp/4"),
		protocol.Envelope("rubbish"),
	} {
		if err := w.store.PutFact(t.Context(), storage.Fact{Group: gid, Kind: uint8(protocol.FactEnvelope), Bytes: e}); err != nil {
			t.Fatal(err)
		}
	}
	rec, ok := w.node.storedEnvelope(t.Context(), gid, m.id)
	if !ok || rec.Seq != 7 || len(rec.Addrs) != 1 || rec.Addrs[0].String() != "/ip4/10.0.0.9/tcp/2" {
		t.Errorf("found %+v, %t", rec, ok)
	}
	if rec, ok := w.node.storedEnvelope(t.Context(), gid, newIdentity(t, w.r).id); ok {
		t.Errorf("found %+v of a peer that has none", rec)
	}
}
