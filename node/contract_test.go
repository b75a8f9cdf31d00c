package node

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/gate"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"
)

// noteFile keeps what a node saves.
type noteFile struct {
	b     []byte
	fail  error
	saves int
}

func (f *noteFile) config(t contract.Terms) ContractConfig {
	return ContractConfig{Terms: t, Load: func() ([]byte, error) { return f.b, nil }, Save: func(b []byte) error {
		if f.fail == nil {
			f.b = bytes.Clone(b)
			f.saves++
		}
		return f.fail
	}}
}

// TestStances goes through what a donor can ask for: what it makes the node tell
// others, and that it outlives a restart.
func TestStances(t *testing.T) {
	var f noteFile
	w := newWorld(t, 101, func(c *Config) { c.Contract = f.config(contract.Terms{}) })
	o := w.newOwner().found()
	held, fresh := o.newSegment(400_000), o.newSegment(1000)
	o.mustPut(held)
	member, stranger := at(o.members[0].id, ""), at(o.client.id, "")
	check := func(what string, form, put, give, leaf protocol.Code) {
		t.Helper()
		for range 2 {
			wantCode(t, what+": form", w.newOwner().form("", 1000), form)
			wantCode(t, what+": put", o.put(stranger, fresh), put)
			_, err := o.get(held, 0, 0)
			wantCode(t, what+": get", err, give)
			_, err = o.get(held, 20_000, 100)
			wantCode(t, what+": get of a leaf", err, leaf)
			if put == 0 {
				fresh = o.newSegment(1000)
			}
			w.restart()
		}
		info, err := w.node.Info(t.Context(), stranger, nil)
		if err != nil || info.Validate() != nil || (info.Free == 0) != (form != 0) {
			t.Errorf("%s: %d bytes are free, %v", what, info.Free, err)
		}
	}
	must := func(_ time.Time, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const budget = protocol.CodeBudget
	check("at first", 0, 0, 0, 0)
	must(w.node.Pause())
	check("paused", budget, budget, budget, 0)
	wantCode(t, "paused: put by a member", o.put(member, fresh), budget)
	must(time.Time{}, w.node.Resume())
	check("resumed", 0, 0, 0, 0)
	must(w.node.Away(24 * time.Hour))
	check("away", budget, 0, 0, 0)
	if info, _ := w.node.Info(t.Context(), stranger, nil); info.AwayUntil != epoch.Add(24*time.Hour).Unix() {
		t.Errorf("away until %d", info.AwayUntil)
	}
	var long *contract.TooLongAwayError
	if _, err := w.node.Away(31 * 24 * time.Hour); !errors.As(err, &long) {
		t.Errorf("away for 31 days: %v", err)
	}
	must(w.node.Away(0))
	check("back", 0, 0, 0, 0)
	must(time.Time{}, w.node.Drain())
	check("draining", protocol.CodeDraining, protocol.CodeDraining, 0, 0)
	if info, _ := w.node.Info(t.Context(), stranger, nil); !info.Draining {
		t.Error("Info does not tell that it drains")
	}
	must(time.Time{}, w.node.StopDrain())
	check("staying", 0, 0, 0, 0)
	must(w.node.Pause())
	w.clock.step(protocol.MaxSuspended)
	check("a week after a pause", 0, 0, 0, 0)
	// What cannot be noted does not hold.
	f.fail = errDisk
	if _, err := w.node.Pause(); !errors.Is(err, errDisk) {
		t.Errorf("pause on a dead disk: %v", err)
	}
	if w.node.Status().Contract.PausedUntil != "" {
		t.Error("a pause that was not noted holds")
	}
}

// Outside its hours a node leaves people waiting, and helps others' repair.
func TestOutsideItsHours(t *testing.T) {
	hours, err := contract.ParseHours("22-07")
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, 102, func(c *Config) { c.Contract.Hours = hours })
	noon := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	w.clock.t = noon.Add(11 * time.Hour)
	o := w.newOwner().found()
	s, late := o.newSegment(400_000), o.newSegment(1000)
	o.mustPut(s)
	w.clock.t = noon
	_, err = o.get(s, 0, 0)
	wantCode(t, "get by day", err, protocol.CodeBudget)
	_, err = o.get(s, 0, 1)
	wantCode(t, "get of a leaf by day", err, 0)
	wantCode(t, "put by day", o.put(at(o.client.id, ""), late), protocol.CodeBudget)
	wantCode(t, "form by day", w.newOwner().form("", 1000), protocol.CodeBudget)
	wantCode(t, "a repairer's put by day", o.put(at(o.members[0].id, ""), late), 0)
	if c := w.node.Status().Contract; c.OpensAt != "2030-05-01T22:00:00Z" || c.Hours != "22:00-07:00" {
		t.Errorf("%+v", c)
	}
	w.clock.t = noon.Add(10 * time.Hour)
	_, err = o.get(s, 0, 0)
	wantCode(t, "get by night", err, 0)
}

// The limits bound what is taken, however much is donated.
func TestBudgetBoundsWhatIsTaken(t *testing.T) {
	terms := contract.Terms{Month: 100 * mb}
	w := newWorld(t, 103, func(c *Config) { c.Contract.Terms = terms })
	bears := terms.Bears()
	if bears >= w.cfg.Donated {
		t.Fatal("the test needs a smaller month")
	}
	o := w.newOwner()
	wantCode(t, "more than is left of the month", o.form("", 51*mb), protocol.CodeBudget)
	w.cfg.Contract.Terms = contract.Terms{Up: contract.LeastRate}
	w.cfg.Donated = 1 << 50
	w.store.Store = storage.NewMemory(storage.Config{Quota: 1 << 50})
	w.restart()
	bears = w.cfg.Contract.Terms.Bears()
	wantCode(t, "more than the rate bears", o.form("", bears+1), protocol.CodeFull)
	for left := bears; left > 0; left = bears - w.node.quota.Promised() {
		wantCode(t, "what the rate bears", w.newOwner().form("", left), 0)
	}
	wantCode(t, "anything more", w.newOwner().form("", 1<<20), protocol.CodeFull)
	if info, _ := w.node.Info(t.Context(), at("x", ""), nil); info.Free != 0 || info.Donated != 1<<50 {
		t.Errorf("%d of %d are free", info.Free, info.Donated)
	}
}

func TestSegmentsHaveTheirDay(t *testing.T) {
	w := newWorld(t, 104, func(c *Config) { c.Contract.Month = 1000 * mb })
	o := w.newOwner().found()
	viral, other := o.newSegment(4*mb), o.newSegment(4*mb) // shards of 2 MiB
	o.mustPut(viral)
	o.mustPut(other)
	reads := 0
	for ; reads < 100; reads++ {
		if _, err := o.get(viral, 0, 0); err != nil {
			wantCode(t, "read too often", err, protocol.CodeBudget)
			break
		}
	}
	if want := int(w.cfg.Contract.ReadsADay() / viral.desc.ShardSize); reads != want {
		t.Errorf("%d reads in a day, want %d", reads, want)
	}
	_, err := o.get(other, 0, 0)
	wantCode(t, "another segment", err, 0)
	w.clock.step(24 * time.Hour)
	_, err = o.get(viral, 0, 0)
	wantCode(t, "the next day", err, 0)
}

// The count of a month outlives restarts and is written rarely.
func TestMonthIsKept(t *testing.T) {
	var f noteFile
	w := newWorld(t, 105, func(c *Config) { c.Contract = f.config(contract.Terms{Month: 100 * mb}) })
	ctx := t.Context()
	spend := func(bytes int64) { w.node.deal.line.Count(contract.Clients, bytes, 0) }
	spent := func() int64 { return w.node.Status().Contract.Spent.Up }
	for range 100 {
		spend(mb / 10)
		w.clock.step(10 * time.Second)
		if err := w.node.upkeepOnce(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if f.saves < 7 || f.saves > 9 {
		t.Errorf("saved %d times in 1,000 s", f.saves)
	}
	w.restart() // a kill: nothing is saved
	if got := spent(); got > 10*mb || got < 10*mb-13*mb/10 {
		t.Errorf("%d bytes are left of 10 MB after a kill", got)
	}
	for range 3 {
		spend(20 * mb)
		w.clock.step(time.Hour)
	}
	wantCode(t, "form", w.newOwner().form("", 1000), protocol.CodeBudget)
	if info, _ := w.node.Info(ctx, at("x", ""), nil); info.Budget != 1 || info.Free != 0 {
		t.Errorf("budget %d, free %d", info.Budget, info.Free)
	}
	// The clock steps into the next month and back: nothing was gained.
	w.clock.step(31 * 24 * time.Hour)
	wantCode(t, "form in the next month", w.newOwner().form("", 1000), 0)
	w.clock.step(-31 * 24 * time.Hour)
	wantCode(t, "form back in this month", w.newOwner().form("", 1000), protocol.CodeBudget)
	if err := w.node.deal.save(w.clock.now(), true); err != nil {
		t.Fatal(err)
	}
	saves := f.saves
	w.restart()
	wantCode(t, "form after a restart", w.newOwner().form("", 1000), protocol.CodeBudget)
	w.clock.step(time.Hour)
	if err := w.node.upkeepOnce(ctx); err != nil || f.saves != saves {
		t.Errorf("an idle node saves: %v", err)
	}
	f.b = []byte("damaged")
	if _, err := New(w.cfg); err == nil {
		t.Error("a node forgets its contract")
	}
}

// heirs takes over what it is told to.
type heirs struct {
	w      *world
	refuse error
}

func (h *heirs) handOver(ctx context.Context, g protocol.GroupID) error {
	if h.refuse != nil {
		return h.refuse
	}
	for f, err := range h.w.store.Facts(ctx, g) {
		if err != nil {
			return err
		}
		if err := h.w.store.DeleteFact(ctx, g, f.ID()); err != nil {
			return err
		}
	}
	for s, err := range h.w.store.Shards(ctx, g) {
		if err != nil {
			return err
		}
		if err := h.w.store.DeleteShard(ctx, s.Key); err != nil {
			return err
		}
	}
	return nil
}

func TestDrain(t *testing.T) {
	var f noteFile
	w := newWorld(t, 106, func(c *Config) { c.Contract = f.config(contract.Terms{}) })
	if p := w.node.DrainProgress(); p != (DrainProgress{}) {
		t.Errorf("before: %+v", p)
	}
	const groups = 3
	for range groups {
		o := w.newOwner().found()
		o.mustPut(o.newSegment(1000))
	}
	if err := w.node.Drain(); err != nil {
		t.Fatal(err)
	}
	// Without a way to hand over it must stay, and says so.
	p := w.node.DrainProgress()
	if p.Done || !p.MustStay || p.Why == "" || p.Slots != groups || p.SlotsLeft != groups || p.BytesLeft == 0 || p.Since == "" {
		t.Errorf("without successors: %+v", p)
	}
	w.restart()
	if err := w.node.drainOnce(t.Context()); err != nil || w.node.DrainProgress() != p {
		t.Errorf("after a restart: %+v, %v", w.node.DrainProgress(), err)
	}
	h := &heirs{w: w, refuse: errors.New("nobody is eligible")}
	w.node.successors = h
	if err := w.node.drainOnce(t.Context()); !errors.Is(err, h.refuse) {
		t.Errorf("nobody takes over: %v", err)
	}
	if p := w.node.DrainProgress(); p.Done || p.MustStay || p.SlotsLeft != groups || p.Why == "" {
		t.Errorf("nobody takes over: %+v", p)
	}
	h.refuse = nil
	if err := w.node.drainOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p := w.node.DrainProgress(); !p.Done || p.SlotsLeft != 0 || p.BytesLeft != 0 || p.Slots != groups || p.Why != "" {
		t.Errorf("at the end: %+v", p)
	}
	// A folder that is missing may hold what was not handed over.
	w.node.cfg.Stores = func() []StoreStatus {
		return []StoreStatus{{Dir: "/mnt/b", State: StoreSuspended, Why: "disk is missing"}}
	}
	if p := w.node.DrainProgress(); p.Done || p.Why == "" {
		t.Errorf("with a folder missing: %+v", p)
	}
}

// limitedTown is one node, with a limited line, in virtual time.
func limitedTown(t *testing.T, terms contract.Terms) *town {
	w := newTown(t, 0)
	ctx, stop := context.WithCancel(t.Context())
	p := w.net.Peer(memnet.PeerConfig{Server: true})
	n, err := New(Config{Network: network, Net: p, Key: p.Key(), Store: storage.NewMemory(storage.Config{}), Donated: 1 << 30, Contract: ContractConfig{Terms: terms}})
	if err != nil {
		t.Fatal(err)
	}
	p.Serve(n.Serve)
	w.peers, w.nodes, w.stop = []*memnet.Peer{p}, []*Node{n}, stop
	go func() { w.ended <- n.Run(ctx) }()
	return w
}

// foundAt makes a group known to a town's node, which holds its first slot.
func (w *town) foundAt(seed uint64, others ...peer.ID) *owner {
	w.t.Helper()
	r := seeded(w.t, seed)
	o := &owner{w: &world{t: w.t, r: r}, key: newKey(r), profile: protocol.Profile{K: 1, R: 1, N: 1 + len(others)}}
	pub := protocol.PublicKeyOf(o.key)
	o.record, o.id = protocol.NewGroupRecord(network, pub, pub, protocol.Hash{}, protocol.Nonce{}).Encode()
	o.table = o.tableOf(append([]peer.ID{w.peers[0].Self()}, others...))
	_, c := w.client()
	defer c.Close()
	if _, err := c.Facts(w.t.Context(), w.peers[0].Self(), &protocol.FactsRequest{Group: o.id.Prefix(), Offer: o.founding()}); err != nil {
		w.t.Fatal(err)
	}
	return o
}

// send puts a segment's first shard to a town's node.
func (w *town) send(ctx context.Context, c *protocol.Caller, o *owner, s *segment) error {
	return c.Put(ctx, w.peers[0].Self(), &protocol.PutRequest{Record: o.record, Descriptor: s.bytes, Grant: s.grant}, s.shards[0])
}

// A donor with the slowest line that can be set serves and takes whole shards:
// no peer is cut off for slowness, and one that would be too slow is sent elsewhere.
func TestSlowestLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := limitedTown(t, contract.Terms{Up: contract.LeastRate, Down: contract.LeastRate})
		o := w.foundAt(107)
		s, late := o.newSegmentOf(o.profile, 4*mb), o.newSegmentOf(o.profile, 4*mb)
		p, c := w.client()
		begun := time.Now()
		if err := w.send(t.Context(), c, o, s); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took < 70*time.Second || took > 100*time.Second {
			t.Errorf("a put took %v", took)
		}
		get := func(p *memnet.Peer, c *protocol.Caller) error {
			r := &protocol.GetRequest{Segment: s.id, Slot: 0, Proof: o.proof(s, p.Self())}
			_, raw, err := c.Get(t.Context(), w.peers[0].Self(), r, nil, protocol.MaxShardSize)
			if err == nil && !bytes.Equal(raw, s.shards[0]) {
				t.Error("other bytes came")
			}
			return err
		}
		var all sync.WaitGroup
		var served, busy atomic.Int64
		for range 4 {
			p, c := w.client()
			all.Go(func() {
				begun := time.Now()
				err := get(p, c)
				switch took := time.Since(begun); {
				case err == nil && took < 100*time.Second:
					served.Add(1)
				case errors.Is(err, protocol.ErrUnavailable) && took < gate.Patience+time.Second:
					busy.Add(1)
				default:
					t.Errorf("get: %v after %v", err, took)
				}
				c.Close()
			})
		}
		all.Wait()
		if served.Load() != 1 || busy.Load() != 3 {
			t.Errorf("%d served, %d sent elsewhere", served.Load(), busy.Load())
		}
		if err := get(p, c); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		// A put that is refused costs one window of the stream, not the whole shard.
		if _, err := w.nodes[0].Pause(); err != nil {
			t.Fatal(err)
		}
		before := w.nodes[0].Status().Contract.Spent.Down
		wantCode(t, "put while paused", w.send(t.Context(), c, o, late), protocol.CodeBudget)
		if cost := w.nodes[0].Status().Contract.Spent.Down - before; cost > 300<<10 {
			t.Errorf("a refused put of 4 MB cost %d bytes", cost)
		}
		c.Close()
		w.close()
	})
}

// Repairers get their half of the line and of its transfers while clients take
// all they can.
func TestRepairFlowsWhileClientsSaturate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := limitedTown(t, contract.Terms{Down: 400_000})
		member, repairer := w.client()
		o := w.foundAt(108, member.Self())
		var making sync.Mutex // segments are drawn from one source
		put := func(ctx context.Context, c *protocol.Caller) error {
			making.Lock()
			s := o.newSegmentOf(o.profile, 2*mb)
			making.Unlock()
			return w.send(ctx, c, o, s)
		}
		crowd, enough := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := range 20 {
			_, c := w.client()
			clients.Go(func() {
				defer c.Close()
				for crowd.Err() == nil {
					_ = put(crowd, c) // most of them are sent elsewhere
					pause(crowd, time.Duration(i)*time.Second, nil)
				}
			})
		}
		time.Sleep(time.Minute)
		for range 3 {
			begun := time.Now()
			if err := put(t.Context(), repairer); err != nil {
				t.Errorf("a repairer's put: %v", err)
			}
			if took := time.Since(begun); took > 15*time.Second { // 2 MB at 200 kB/s are 10 s
				t.Errorf("a repairer's put took %v", took)
			}
		}
		enough()
		clients.Wait()
		if s := w.nodes[0].Status().Contract.Spent; s.Repair < 6*mb || s.Clients < 2*s.Repair {
			t.Errorf("repair moved %d bytes, clients %d", s.Repair, s.Clients)
		}
		repairer.Close()
		w.close()
	})
}
