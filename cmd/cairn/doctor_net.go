package main

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/client"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/p2p"
)

// How doctor looks at the network and judges the clock.
const (
	askedForClock = 16
	clockTimeout  = 5 * time.Second
	clockWarn     = time.Minute
	clockBad      = time.Hour // nothing needs a better clock so far: renewals are put off if a day ahead
)

// sight is what doctor sees of the network.
type sight struct {
	given      int // peers named by flags, settings or an invitation
	remembered int
	others     int             // peers that answered, this home's own node apart
	nodes      int             // of them
	private    bool            // all that were seen have private addresses
	offsets    []time.Duration // how far the others' clocks are ahead of ours
	err        error
}

// lookRound asks the network under an identity of its own, and remembers nothing:
// the peers that are asked must not be able to tell why.
func (a *app) lookRound(ctx context.Context, h home, f nodeFacts) sight {
	boot, err := parsePeers(a.flags.bootstrap)
	if err != nil {
		return sight{err: err}
	}
	s := sight{given: len(boot)}
	seen := make(map[peer.ID]bool)
	for _, path := range []string{h.node(peersFile), h.owner(cacheDir, peersFile)} {
		list, err := p2p.Remembered(path)
		if err != nil {
			a.log.Warn("remembered peers", "err", err)
		}
		for _, p := range list {
			seen[p.ID] = true
			boot = append(boot, p)
		}
	}
	s.remembered = len(seen)
	own, err := parsePeers(f.Status.Addrs)
	if err == nil {
		boot = append(boot, own...)
	}
	host, err := p2p.New(ctx, a.hostConfig("", boot))
	if err != nil {
		s.err = err
		return s
	}
	defer func() { _ = host.Close() }()
	if !waitPeer(ctx, host, answerTime) {
		return s
	}
	c := client.New(client.Config{Network: a.flags.network, Net: host, Log: a.log})
	defer c.Close()
	v, err := c.NetworkView(ctx)
	if err != nil {
		return s
	}
	var ids []peer.ID
	s.others, s.private = v.Peers, v.Private
	for _, n := range v.Nodes {
		if n.Peer.String() == f.Status.Peer {
			s.others--
			continue
		}
		s.nodes++
		ids = append(ids, n.Peer)
	}
	s.offsets = clockOffsets(ctx, host, ids[:min(len(ids), askedForClock)])
	return s
}

// clockOffsets asks connected peers what time it is.
func clockOffsets(ctx context.Context, net protocol.Network, ids []peer.ID) []time.Duration {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	call := protocol.NewCaller(net)
	defer call.Close()
	var (
		mu  sync.Mutex
		out []time.Duration
		all sync.WaitGroup
	)
	for _, id := range ids {
		all.Go(func() {
			begun := time.Now()
			info, err := call.Info(ctx, id)
			if err != nil {
				return
			}
			ours := begun.Add(time.Since(begun) / 2)
			theirs := time.Unix(info.Clock, int64(time.Second/2)) // Clock is in whole seconds
			mu.Lock()
			defer mu.Unlock()
			out = append(out, theirs.Sub(ours))
		})
	}
	all.Wait()
	return out
}

// checkClock compares this machine's clock with the median of the others', which a
// minority of wrong or lying ones cannot move far. Without others it returns false.
func checkClock(offsets []time.Duration) (check, bool) {
	const name = "clock"
	if len(offsets) == 0 {
		return check{}, false
	}
	sorted := slices.Sorted(slices.Values(offsets))
	off := sorted[len(sorted)/2]
	if len(sorted)%2 == 0 {
		off = (sorted[len(sorted)/2-1] + off) / 2
	}
	whose := "the clocks of " + count(len(sorted), "node")
	if len(sorted) == 1 {
		whose = "the clock of 1 node"
	}
	way := "behind"
	if off < 0 {
		way, off = "ahead of", -off
	}
	mend := "have the system keep the clock (NTP); if this one is right, the others are wrong"
	switch {
	case off >= clockBad && len(sorted) >= 3:
		return bad(name, mend, "%s %s %s", span(off), way, whose), true
	case off >= clockWarn:
		return warning(name, mend, "%s %s %s", span(off), way, whose), true
	}
	return fine(name, "within %s of %s", span(off.Truncate(time.Second)+time.Second), whose), true
}

// checkNetwork judges what was seen.
func checkNetwork(situation, network string, s sight) check {
	const name = "network"
	switch {
	case s.err != nil:
		return bad(name, "look at this machine's network, or at what --bootstrap names", "%q: %v", network, s.err)
	case s.others > s.nodes:
		return fine(name, "%q: answered by %s and %s", network, count(s.nodes, "node"), count(s.others-s.nodes, "other peer"))
	case s.others > 0:
		return fine(name, "%q: answered by %s", network, count(s.nodes, "node"))
	case s.given+s.remembered > 0:
		return bad(name, "look at this machine's line and firewall; if it has been away for long, ask for a new invitation: \"cairn join TEXT\"",
			"%q: nobody answers of the peers given (%d) and remembered (%d)", network, s.given, s.remembered)
	case situation == situationClient:
		return bad(name, "enter a network: \"cairn join TEXT\", or \"--bootstrap ADDRESS\"; or begin one: \"cairn node --donate 10GB\"", "%q: nobody answers, and no peer is known", network)
	}
	return warning(name, "let others in by what \"cairn network invite\" prints", "%q: no other peer is known: a network of one", network)
}
