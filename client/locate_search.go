package client

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of a search.
const (
	dhtAfter      = 300 * time.Millisecond // head start of hints: if they answer, the DHT is not asked
	crawlAfter    = time.Second            // head start of hints and the DHT
	providerWidth = 64                     // claims are cheap to make: look at many at a time,
	providerFirst = 4                      // but at few until providerWiden: these mostly suffice
	providerWiden = 300 * time.Millisecond
	providerMost  = 10_000 // claims looked at in one lookup
	providerAgain = 2 * time.Second
)

// search looks for peers that know something of a group: it asks those that hints
// name, then those that the DHT names, then everybody who can be found, and goes on
// with the first meanwhile. No source is believed; a peer counts when it has answered.
type search struct {
	c        *Client
	prefix   protocol.GroupPrefix
	visit    func(context.Context, peer.ID) error // asks one peer
	named    []peer.ID                            // said to be holders, their addresses learned before
	guesses  []peer.ID                            // worth asking first, though nobody names them
	onBegin  func()                               // if not nil: asks holders once the search runs
	ctx      context.Context
	stop     context.CancelFunc // ends everything
	settle   context.CancelFunc // ends the sources; peers already found are still asked
	mu       sync.Mutex
	seen     map[peer.ID]bool
	visits   sync.WaitGroup
	answered atomic.Int64 // peers that said anything at all
	silent   atomic.Int64 // peers that were named as holders and did not
}

func (c *Client) newSearch(prefix protocol.GroupPrefix, visit func(context.Context, peer.ID) error) *search {
	return &search{c: c, prefix: prefix, visit: visit, seen: map[peer.ID]bool{c.net.Self(): true, "": true}}
}

// run searches until stop is called, ctx is done, or every peer that could be
// found was asked. All visits have ended when it returns.
func (s *search) run(ctx context.Context, hints []peer.AddrInfo) {
	s.ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	ctx, s.settle = context.WithCancel(s.ctx)
	defer s.settle()
	for _, h := range hints {
		s.c.net.Learn(h)
		s.offer(h.ID, true)
	}
	for _, id := range s.named {
		s.offer(id, true)
	}
	for _, id := range s.guesses {
		s.offer(id, false)
	}
	if s.onBegin != nil {
		s.onBegin()
	}
	var sources sync.WaitGroup
	sources.Go(func() {
		if len(hints)+len(s.named) == 0 && s.onBegin == nil || protocol.Sleep(ctx, dhtAfter) {
			s.fromDHT(ctx)
		}
	})
	sources.Go(func() { s.fromCrawl(ctx) })
	sources.Wait()
	s.visits.Wait()
}

// runNamed asks only the peers in named and those that visits offer.
func (s *search) runNamed(ctx context.Context) {
	s.ctx, s.stop = context.WithCancel(ctx)
	defer s.stop()
	for _, id := range s.named {
		s.offer(id, true)
	}
	s.visits.Wait()
}

// claim reports whether a peer is to be asked: true once for each.
func (s *search) claim(id peer.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.seen[id] {
		return false
	}
	s.seen[id] = true
	return true
}

// offer starts asking a peer, unless it was asked already. named says that somebody
// names it as a holder. It may be called by visits.
func (s *search) offer(id peer.ID, named bool) {
	if s.claim(id) {
		s.visits.Go(func() { s.ask(id, named) })
	}
}

func (s *search) ask(id peer.ID, named bool) {
	ctx, cancel := context.WithTimeout(s.ctx, askTimeout)
	defer cancel()
	begun := s.c.now()
	err := s.visit(ctx, id)
	s.c.noteAsk(ctx, id, begun, err)
	switch {
	case err == nil || isRefusal(err):
		s.answered.Add(1)
	case named:
		s.silent.Add(1)
	}
}

// fromDHT asks the peers that claim in the DHT to hold the group. The routing table
// may have been empty when the first lookup began, so after an empty answer it looks
// once more.
func (s *search) fromDHT(ctx context.Context) {
	var g gate
	for range 2 {
		n := 0
		for id := range s.c.net.Providers(ctx, protocol.FindKey(s.prefix)) {
			if g == nil {
				var end func()
				g, end = newGrowingGate(providerWidth, providerFirst, providerWiden)
				defer end()
			}
			n++
			if n > providerMost || !s.throughGate(ctx, g, id) {
				return
			}
		}
		if n > 0 || !protocol.Sleep(ctx, providerAgain) {
			return
		}
	}
}

func (s *search) throughGate(ctx context.Context, g gate, id peer.ID) bool {
	leave, ok := g.enter(ctx)
	if !ok {
		return false // unclaimed, so the peer can still be offered
	}
	if !s.claim(id) {
		leave()
		return ctx.Err() == nil
	}
	s.visits.Go(func() {
		defer leave()
		s.ask(id, true)
	})
	return true
}

// fromCrawl asks everybody, once the quicker sources have had their time.
func (s *search) fromCrawl(ctx context.Context) {
	if !protocol.Sleep(ctx, crawlAfter) {
		return
	}
	s.c.newCrawl(func(ctx context.Context, id peer.ID) []peer.AddrInfo {
		s.offer(id, false)
		_, named := s.c.askInfo(ctx, id)
		return named
	}).run(ctx)
}
