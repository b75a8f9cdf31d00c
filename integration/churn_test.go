package integration

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/lab/liar"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"

	cairnnode "github.com/cairnstore/cairn/node"
)

// churn says how machines come and go.
type churn struct {
	seed   uint64
	nodes  int
	up     time.Duration // mean of a time switched on
	down   time.Duration // mean of a time switched off
	life   time.Duration // mean until it leaves for ever and a new one takes its place; 0: never
	config func(*cairnnode.Config)
}

// uptime90 is 0.9 in sessions of a day and a half, as of machines that are
// switched off at times.
func uptime90(c churn) churn {
	c.up, c.down = 36*time.Hour, 4*time.Hour
	return c
}

// monthlyLoss makes a share of the machines leave in each month of 30 days.
func (c churn) monthlyLoss(share float64) churn {
	c.life = time.Duration(float64(30*24*time.Hour) / share)
	return c
}

// moving is a network in memory whose machines come and go: the real nodes and
// clients over memnet, in virtual time.
type moving struct {
	t     *testing.T
	churn churn
	ctx   context.Context
	net   *memnet.Net
	seen  *protocol.EnvelopeCache // of all machines: a signature that one of them has checked is good
	log   *slog.Logger
	loops sync.WaitGroup
	homes []string // of owners

	mu       sync.Mutex
	machines map[int]*machine // that have not left
	born     int
	left     int
	counted  cairnnode.Traffic // of sessions that ended
	tally    tally             // of what was asked and made
}

// machine is a donor's: its identity and its disk outlast its sessions.
type machine struct {
	nr    int
	seed  [ed25519.SeedSize]byte
	store *storage.Memory
	peer  *memnet.Peer // nil: switched off
	node  *cairnnode.Node
	stop  func()
	gone  bool     // it was taken away by a test: it never comes back
	lie   liar.Lie // how it answers; empty: truly
}

// addr is where the machine is seen, in each of its sessions.
func (m *machine) addr() multiaddr.Multiaddr {
	return multiaddr.StringCast(fmt.Sprintf("/ip4/10.1.%d.%d/tcp/4401", m.nr>>8, m.nr&0xff))
}

func newMoving(t *testing.T, c churn) *moving {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &moving{
		t: t, churn: c, ctx: ctx, net: memnet.New(memnet.Config{Seed: c.seed, Latency: 10 * time.Millisecond}),
		seen: protocol.NewEnvelopeCache(1 << 13), log: slog.New(slog.DiscardHandler), machines: make(map[int]*machine), tally: newTally(),
	}
	t.Cleanup(func() {
		cancel()
		w.loops.Wait()
		if err := w.net.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Logf("seed %d: %d nodes, up %s, down %s, life %s", c.seed, c.nodes, c.up, c.down, c.life)
	for range c.nodes {
		w.bear()
	}
	time.Sleep(2 * time.Minute) // virtual: all know each other
	return w
}

// rng is a machine's own random source: its plan does not depend on what others
// do.
func (w *moving) rng(nr int) *rand.Rand { return rand.New(rand.NewPCG(w.churn.seed, uint64(nr)+1)) }

// bear adds a machine and lets it live.
func (w *moving) bear() *machine {
	w.mu.Lock()
	m := &machine{nr: w.born, store: storage.NewMemory(storage.Config{Quota: 1 << 30})}
	w.born++
	w.machines[m.nr] = m
	w.mu.Unlock()
	binary.BigEndian.PutUint64(m.seed[:], w.churn.seed)
	binary.BigEndian.PutUint64(m.seed[8:], uint64(m.nr)+1)
	w.start(m)
	w.loops.Go(func() { w.live(m) })
	return m
}

// live switches a machine on and off until it leaves for ever; then another
// takes its place.
func (w *moving) live(m *machine) {
	r := w.rng(m.nr)
	draw := func(mean time.Duration) time.Duration { return time.Duration(r.ExpFloat64() * float64(mean)) }
	left := time.Duration(1<<62 - 1)
	if w.churn.life > 0 {
		left = draw(w.churn.life)
	}
	for {
		up := draw(w.churn.up)
		alive := w.sleep(min(up, left))
		if w.end(m); m.gone {
			return
		}
		if left -= up; !alive || left <= 0 {
			break
		}
		down := draw(w.churn.down)
		alive = w.sleep(min(down, left))
		if left -= down; !alive || left <= 0 {
			break
		}
		w.start(m)
	}
	w.mu.Lock()
	delete(w.machines, m.nr)
	w.left++
	w.mu.Unlock()
	if w.ctx.Err() == nil {
		w.bear()
	}
}

// sleep reports whether the network still lives after a time.
func (w *moving) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-w.ctx.Done():
		return false
	}
}

// start switches a machine on.
func (w *moving) start(m *machine) {
	p := w.net.Peer(memnet.PeerConfig{Seed: m.seed, Addr: m.addr(), Server: true, Bootstrap: w.someUp(3)})
	cfg := cairnnode.Config{
		Network: worldNetwork, Agent: "test", Net: p, Key: p.Key(), Store: watched{m.store, w, m}, Donated: 1 << 30, Opened: w.seen, Log: w.log.With("node", m.nr),
		Rand: rand.New(rand.NewPCG(w.churn.seed, uint64(m.nr)<<32)),
	}
	if w.churn.config != nil {
		w.churn.config(&cfg)
	}
	cfg.NoRepair = cfg.NoRepair || m.lie != ""
	n, err := cairnnode.New(cfg)
	if err != nil {
		w.t.Error(err)
		return
	}
	p.Serve(func(s protocol.Stream) { n.Serve(&tapped{Stream: s, w: w}) })
	if m.lie != "" {
		h := liar.Wrap(n, m.lie, w.churn.seed+uint64(m.nr))
		p.Serve(func(s protocol.Stream) { _ = protocol.Serve(w.ctx, s, h) })
	}
	ctx, cancel := context.WithCancel(w.ctx)
	ran := make(chan struct{})
	go func() { defer close(ran); _ = n.Run(ctx) }()
	w.mu.Lock()
	defer w.mu.Unlock()
	m.peer, m.node = p, n
	m.stop = func() { cancel(); <-ran; _ = p.Close() }
}

// end switches a machine off.
func (w *moving) end(m *machine) {
	w.mu.Lock()
	stop, n := m.stop, m.node
	m.peer, m.node, m.stop = nil, nil, nil
	w.mu.Unlock()
	if stop == nil {
		return
	}
	stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count(n)
	w.tally.ask(w.t, n)
}

// remove takes a machine away for ever, its disk with it, as if it burnt.
func (w *moving) remove(m *machine) {
	m.gone = true
	w.end(m)
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.machines, m.nr)
	w.left++
}

// holding returns the machines that hold something of a group, by number.
func (w *moving) holding(g protocol.GroupID) (out []*machine) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.machines {
		for s, err := range m.store.Shards(w.ctx, g) {
			if err == nil && s.Group == g {
				out = append(out, m)
				break
			}
		}
	}
	slices.SortFunc(out, func(a, b *machine) int { return a.nr - b.nr })
	return out
}

// count adds up what a node did since its start. mu is held.
func (w *moving) count(n *cairnnode.Node) {
	t := n.Status().Traffic
	w.counted.Received += t.Received
	w.counted.Sent += t.Sent
	w.counted.Requests += t.Requests
	w.counted.Puts += t.Puts
	w.counted.Gets += t.Gets
	w.counted.Proved += t.Proved
	w.counted.Lent += t.Lent
	w.counted.Mended += t.Mended
	w.counted.Repaired += t.Repaired
	w.counted.Borrowed += t.Borrowed
	w.counted.Given += t.Given
}

// traffic is what all nodes did since the beginning.
func (w *moving) traffic() cairnnode.Traffic {
	w.mu.Lock()
	defer w.mu.Unlock()
	was := w.counted
	for _, m := range w.machines {
		if m.node != nil {
			w.count(m.node)
		}
	}
	now := w.counted
	w.counted = was
	return now
}

// someUp returns addresses of machines that are switched on.
func (w *moving) someUp(n int) []peer.AddrInfo {
	w.mu.Lock()
	defer w.mu.Unlock()
	nrs := make([]int, 0, len(w.machines))
	for nr, m := range w.machines {
		if m.peer != nil {
			nrs = append(nrs, nr)
		}
	}
	slices.Sort(nrs)
	r := rand.New(rand.NewPCG(w.churn.seed, uint64(len(nrs))))
	var out []peer.AddrInfo
	for _, i := range r.Perm(len(nrs)) {
		if len(out) < n {
			out = append(out, w.machines[nrs[i]].peer.AddrInfo())
		}
	}
	return out
}

// client returns a client that knows some machines; with an owner's home, if
// it is to put.
func (w *moving) client(owns bool) (c *client.Client, leave func()) {
	w.t.Helper()
	home := ""
	if owns {
		home = w.t.TempDir()
		w.homes = append(w.homes, home)
	}
	return w.clientOf(home)
}

// renew lets each owner come back for a moment, or some hours later if too many
// machines are off.
func (w *moving) renew() {
	w.t.Helper()
	for _, home := range w.homes {
		c, leave := w.clientOf(home)
		_, err := c.Renew(w.ctx, client.RenewOptions{})
		for tries := 1; err != nil && tries < 10; tries++ {
			time.Sleep(6 * time.Hour)
			_, err = c.Renew(w.ctx, client.RenewOptions{})
		}
		if leave(); err != nil {
			w.t.Fatal(err)
		}
	}
}

// clientOf is a client with the owner's home, or with none if that is empty.
func (w *moving) clientOf(home string) (c *client.Client, leave func()) {
	w.t.Helper()
	p := w.net.Peer(memnet.PeerConfig{NoListen: true, Bootstrap: w.someUp(4)})
	cfg := client.Config{Network: worldNetwork, Log: w.log, Net: p}
	closeOwner := func() error { return nil }
	if home != "" {
		o, err := client.OpenOwner(home, w.log)
		if err != nil {
			w.t.Fatal(err)
		}
		cfg.Owner, closeOwner = o, o.Close
	}
	c = client.New(cfg)
	return c, func() {
		c.Close()
		_ = closeOwner()
		_ = p.Close()
	}
}

// margin is how many more slots' holders a group's worst segment can lose for
// ever; below 0, it is lost. lasting counts machines that are switched off as
// holders, now does not.
type margin struct{ lasting, now int }

// margins looks at every disk, which no member of the network can do.
func (w *moving) margins(k int) map[protocol.GroupID]margin {
	w.mu.Lock()
	defer w.mu.Unlock()
	type slots struct{ lasting, now map[uint8]bool }
	held := make(map[protocol.GroupID]map[protocol.SegmentID]*slots)
	for _, m := range w.machines {
		for g, err := range m.store.Groups(w.ctx) {
			if err != nil {
				w.t.Fatal(err)
			}
			for s, err := range m.store.Shards(w.ctx, g) {
				if err != nil {
					w.t.Fatal(err)
				}
				if held[g] == nil {
					held[g] = make(map[protocol.SegmentID]*slots)
				}
				h := held[g][s.Key.Segment]
				if h == nil {
					h = &slots{make(map[uint8]bool), make(map[uint8]bool)}
					held[g][s.Key.Segment] = h
				}
				h.lasting[s.Key.Slot] = true
				if m.peer != nil {
					h.now[s.Key.Slot] = true
				}
			}
		}
	}
	out := make(map[protocol.GroupID]margin)
	for g, segments := range held {
		worst := margin{1 << 30, 1 << 30}
		for _, h := range segments {
			worst = margin{min(worst.lasting, len(h.lasting)-k), min(worst.now, len(h.now)-k)}
		}
		out[g] = worst
	}
	return out
}

func (w *moving) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fmt.Sprintf("%d machines, %d born, %d left", len(w.machines), w.born, w.left)
}
