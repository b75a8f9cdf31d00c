package client

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Bounds of looking round.
const (
	viewTimeout   = 5 * time.Second         // peers that answer later are not counted
	viewQuiet     = 1500 * time.Millisecond // without a new answer, those still silent are not waited for
	viewLookups   = 3                       // of random keys
	lookupTimeout = 3 * time.Second
)

// NodeInfo is a node as it answered just now.
type NodeInfo struct {
	Peer peer.ID
	At   group.Candidate // address and relay, as the connection shows them
	Info protocol.InfoReply
}

// View is what this peer sees of the network.
type View struct {
	Nodes   []NodeInfo                 // that donate space
	Peers   int                        // that answered, nodes included
	Donated int64                      // bytes
	Free    int64                      // bytes that the nodes would take from this asker
	Accepts map[protocol.Accepts]Class // the nodes, by whose data they accept
	Private bool                       // all addresses seen are private or loopback
	Domains int                        // failure domains with a node that takes anybody's data
}

// Class sums nodes up.
type Class struct {
	Nodes         int
	Donated, Free int64 // bytes
}

// NetworkView asks every peer that can be found what it offers, for a few seconds
// at most. It returns ErrNoPeers where nobody answers.
func (c *Client) NetworkView(ctx context.Context) (*View, error) {
	nodes, answered, err := c.lookRound(ctx)
	if err != nil {
		return nil, err
	}
	v := &View{Nodes: nodes, Peers: answered, Accepts: make(map[protocol.Accepts]Class)}
	cands := make([]group.Candidate, 0, len(nodes))
	for _, n := range nodes {
		v.Donated += n.Info.Donated
		v.Free += n.Info.Free
		class := v.Accepts[n.Info.Accepts]
		class.Nodes++
		class.Donated += n.Info.Donated
		class.Free += n.Info.Free
		v.Accepts[n.Info.Accepts] = class
		if n.unwilling(c.now()) == "" {
			cands = append(cands, n.At)
		}
	}
	v.Private = group.Private(cands)
	v.Domains = group.Domains(cands, v.Private)
	return v, nil
}

// candidates returns the nodes that answered just now and take anybody's data,
// each with the address at which it was seen, without those that failed or lied in
// this session. Where none is left the error says why: ErrTooFew if some had failed,
// else ErrNoTakers.
func (c *Client) candidates(ctx context.Context) ([]group.Candidate, error) {
	nodes, answered, err := c.lookRound(ctx)
	if err != nil {
		return nil, err
	}
	var out []group.Candidate
	why := make(map[unwilling]int)
	var failure error // of the first that failed a group
	for _, n := range nodes {
		no := n.unwilling(c.now())
		if no == "" && c.peers.unfit(n.Peer) {
			no, failure = failedBefore, cmp.Or(failure, c.peers.missedWhy(n.Peer))
		}
		if no == "" {
			out = append(out, n.At)
		}
		why[no]++
	}
	if len(out) == 0 {
		return nil, withRefusal(noTakers(answered, len(nodes), why), failure)
	}
	return out, nil
}

// unwilling says why a node is not to be given a stranger's data; empty: it may be.
type unwilling string

const (
	leaving      unwilling = "leaving"
	away         unwilling = "away"
	takesOwn     unwilling = "for holders of vouchers only"
	takesNone    unwilling = "closed to new data"
	failedBefore unwilling = "failed just before"
)

func (n *NodeInfo) unwilling(now time.Time) unwilling {
	switch {
	case n.Info.Draining:
		return leaving
	case n.Info.AwayUntil > now.Unix():
		return away
	case n.Info.Accepts == protocol.AcceptsVouchers:
		return takesOwn
	case n.Info.Accepts != protocol.AcceptsOpen:
		return takesNone
	}
	return ""
}

// noTakers says why none of those that answered can be given anything.
func noTakers(answered, nodes int, why map[unwilling]int) error {
	if nodes == 0 {
		return fmt.Errorf("%d peers answer and none donates space: %w", answered, ErrNoTakers)
	}
	var list []string
	for _, no := range []unwilling{away, leaving, takesOwn, takesNone, failedBefore} {
		if n := why[no]; n > 0 {
			list = append(list, fmt.Sprintf("%d %s", n, no))
		}
	}
	kind := ErrNoTakers
	if why[failedBefore] > 0 {
		kind = ErrTooFew
	}
	return fmt.Errorf("%d nodes answer (%s): %w", nodes, strings.Join(list, ", "), kind)
}

// round collects the answers of one look round.
type round struct {
	c        *Client
	mu       sync.Mutex
	nodes    []NodeInfo
	answered int
	closed   bool
	fresh    chan struct{} // has an entry when somebody new answered
}

// lookRound asks every peer that can be found for Info. It ends when all have
// answered, when no new answer came for viewQuiet, or after viewTimeout.
func (c *Client) lookRound(ctx context.Context) ([]NodeInfo, int, error) {
	asked := ctx
	ctx, cancel := context.WithTimeout(ctx, viewTimeout)
	defer cancel()
	r := &round{c: c, fresh: make(chan struct{}, 1)}
	w := c.newCrawl(r.visit)
	done := make(chan struct{})
	go func() {
		defer close(done)
		var lookups sync.WaitGroup
		w.begin()
		lookups.Go(func() {
			c.lookups(ctx, w)
			w.end()
		})
		w.run(ctx)
		lookups.Wait()
	}()
	r.wait(ctx, done)
	cancel()
	<-done // the network may be closed once this returns
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if asked.Err() != nil {
		return nil, 0, context.Cause(asked)
	}
	if r.answered == 0 {
		return nil, 0, fmt.Errorf("look for nodes: %w", ErrNoPeers)
	}
	return r.nodes, r.answered, nil
}

// lookups feeds a crawl with the peers closest to random keys, so that a hostile
// first contact cannot hide them.
func (c *Client) lookups(ctx context.Context, w *crawl) {
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	var wg sync.WaitGroup
	for range viewLookups {
		var key protocol.Key
		if _, err := io.ReadFull(c.rand, key[:]); err != nil {
			break
		}
		wg.Go(func() {
			ids, err := c.net.Closest(ctx, key)
			if err == nil {
				w.push(ids...)
			}
		})
	}
	wg.Wait()
}

// wait returns when the crawl is done, or when no new answer came for viewQuiet.
func (r *round) wait(ctx context.Context, done <-chan struct{}) {
	quiet := time.NewTimer(viewTimeout)
	defer quiet.Stop()
	for {
		select {
		case <-r.fresh:
			quiet.Reset(viewQuiet)
		case <-quiet.C:
			return
		case <-done:
			return
		case <-ctx.Done():
			return
		}
	}
}

func (r *round) visit(ctx context.Context, id peer.ID) []peer.AddrInfo {
	m, named := r.c.askInfo(ctx, id)
	if m == nil {
		return nil
	}
	at := r.c.seen(id)
	at.Free = m.Free
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil
	}
	r.answered++
	if m.Donated > 0 {
		r.nodes = append(r.nodes, NodeInfo{Peer: id, At: at, Info: *m})
	}
	select {
	case r.fresh <- struct{}{}:
	default:
	}
	return named
}
