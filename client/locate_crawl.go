package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of asking around.
const (
	askTimeout = 5 * time.Second        // for one small question
	slowAsk    = 500 * time.Millisecond // then a question no longer holds up the next

	crawlWidth = 16     // questions at a time
	crawlMost  = 10_000 // peers visited by one crawl
	knownEvery = 500 * time.Millisecond
	knownFor   = 5 * time.Second // how long a crawl waits for its first peer
)

// gate bounds how many questions are asked at a time. A question that is not
// answered soon leaves the gate to others while it waits on, so that peers
// which never answer cannot hold up those that do.
type gate chan struct{}

func newGate(width int) gate { return make(gate, width) }

// newGrowingGate returns a gate that is narrow at first. end must be called once
// nobody enters it any more.
func newGrowingGate(width, first int, after time.Duration) (g gate, end func()) {
	g = newGate(width)
	for range width - first {
		g <- struct{}{}
	}
	widen := time.AfterFunc(after, func() {
		for range width - first {
			<-g
		}
	})
	return g, func() { widen.Stop() }
}

// enter waits for its turn. The leave that it returns may be called any number of
// times.
func (g gate) enter(ctx context.Context) (leave func(), ok bool) {
	select {
	case g <- struct{}{}:
	case <-ctx.Done():
		return nil, false
	}
	var once sync.Once
	out := func() { once.Do(func() { <-g }) }
	timer := time.AfterFunc(slowAsk, out)
	return func() { timer.Stop(); out() }, true
}

// crawl visits every peer that can be reached from the peers known at first, each
// once: visit returns those that one names. It waits a little for the first, and
// ends when all, or crawlMost, are visited, or ctx is done.
type crawl struct {
	c     *Client
	visit func(context.Context, peer.ID) []peer.AddrInfo

	mu     sync.Mutex
	seen   map[peer.ID]bool
	queue  []peer.ID
	active int
	wake   chan struct{}
}

func (c *Client) newCrawl(visit func(context.Context, peer.ID) []peer.AddrInfo) *crawl {
	return &crawl{
		c: c, visit: visit, wake: make(chan struct{}, 1),
		seen: map[peer.ID]bool{c.net.Self(): true, "": true},
	}
}

// push queues peers that were not seen yet.
func (w *crawl) push(ids ...peer.ID) {
	w.mu.Lock()
	for _, id := range ids {
		if !w.seen[id] && len(w.seen) < crawlMost {
			w.seen[id] = true
			w.queue = append(w.queue, id)
		}
	}
	w.mu.Unlock()
	w.stir()
}

func (w *crawl) stir() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run crawls. All visits have ended when it returns.
func (w *crawl) run(ctx context.Context) {
	g := newGate(crawlWidth)
	var wg sync.WaitGroup
	defer wg.Wait()
	w.awaitSeeds(ctx)
	for ctx.Err() == nil {
		id, more := w.pop()
		if !more {
			return
		}
		if id == "" {
			select {
			case <-w.wake:
			case <-ctx.Done():
			}
			continue
		}
		leave, ok := g.enter(ctx)
		if !ok {
			return
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer leave()
			w.one(ctx, id)
		}()
	}
}

// awaitSeeds takes the peers that the network knows, and waits for the first
// of them where it knows none yet.
func (w *crawl) awaitSeeds(ctx context.Context) {
	for range int(knownFor / knownEvery) {
		w.push(w.c.net.Known()...)
		w.mu.Lock()
		n := len(w.queue)
		w.mu.Unlock()
		if n > 0 || !protocol.Sleep(ctx, knownEvery) {
			return
		}
	}
}

// pop returns the next peer to visit, "" where a visit under way may still
// name one, or false.
func (w *crawl) pop() (peer.ID, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.queue) == 0 {
		return "", w.active > 0
	}
	id := w.queue[0]
	w.queue = w.queue[1:]
	w.active++
	return id, true
}

func (w *crawl) one(ctx context.Context, id peer.ID) {
	for _, info := range w.visit(ctx, id) {
		w.c.net.Learn(info)
		w.push(info.ID)
	}
	w.end()
}

// begin and end enclose something that may still name peers: until end is called
// the crawl goes on.
func (w *crawl) begin() {
	w.mu.Lock()
	w.active++
	w.mu.Unlock()
}

func (w *crawl) end() {
	w.mu.Lock()
	w.active--
	w.mu.Unlock()
	w.stir()
}

// askInfo asks a peer what it offers and returns that and the nodes that it names.
// It returns nil for a peer of another network.
func (c *Client) askInfo(ctx context.Context, id peer.ID) (*protocol.InfoReply, []peer.AddrInfo) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	begun := c.now()
	m, err := c.call.Info(ctx, id)
	c.noteAsk(ctx, id, begun, err)
	if err != nil || m.Network != c.cfg.Network {
		return nil, nil
	}
	var named []peer.AddrInfo
	for _, d := range m.Donors {
		if rec, err := c.opened.Open(d); err == nil {
			named = append(named, rec.Info())
		}
	}
	return m, named
}

// noteAsk notes in the book of peers how a small question went. A question that was
// called off says nothing about the peer.
func (c *Client) noteAsk(ctx context.Context, id peer.ID, begun time.Time, err error) {
	switch {
	case err == nil || isRefusal(err):
		c.peers.ok(id, 0, c.now().Sub(begun))
	case !errors.Is(context.Cause(ctx), context.Canceled):
		c.peers.fail(id, err)
	}
}
