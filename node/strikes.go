package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// How many lies are borne. To see through one costs some 50 to 100 µs, a
// hundred times what telling it costs; honest peers tell next to none.
const (
	peerStrikes   = 256 // of one peer at once,
	peerForgiven  = 4   // and a second after that
	sourceStrikes = 4096
	sourceForgive = 64
	maxStruck     = 65_536 // peers, or sources, under watch

	// shunFor is how long a peer that lied beyond that is not spoken to.
	shunFor = 10 * time.Minute
)

// shunner is a network that can refuse a peer altogether: to turn its streams
// away one by one would cost more than its lies.
type shunner interface {
	Shun(p peer.ID, until time.Time)
}

// strikes counts what peers claim and cannot prove.
type strikes struct {
	peers   *protocol.Pace[peer.ID]
	sources *protocol.Pace[source]
}

func newStrikes() *strikes {
	return &strikes{
		peers:   protocol.NewPace[peer.ID](peerForgiven, peerStrikes, maxStruck),
		sources: protocol.NewPace[source](sourceForgive, sourceStrikes, maxStruck),
	}
}

// count counts n lies and reports whether nothing is left: for this peer, or
// for its source, where each one more is too many.
func (s *strikes) count(from protocol.Remote, n int, now time.Time) (out bool) {
	if n == 0 {
		return false
	}
	out = !s.peers.Take(from.Peer, n, now) || s.out(from, now)
	if at := sourceOf(from); !at.exempt() && !s.sources.Take(at, n, now) {
		s.peers.Take(from.Peer, peerStrikes+1, now) // nothing is left for it
		out = true
	}
	return out
}

// out reports whether a peer has lied too much.
func (s *strikes) out(from protocol.Remote, now time.Time) bool {
	return s.peers.Spent(from.Peer, now)
}

// isLie reports whether a code says that a peer broke the norm, or claimed
// what is not so.
func isLie(c protocol.Code) bool {
	switch c {
	case protocol.CodeMalformed, protocol.CodeNetwork, protocol.CodeDenied, protocol.CodeForged:
		return true
	}
	return false
}

// liesIn counts the lies that an answer found.
func liesIn(answer any, err error) (n int) {
	if err != nil && isLie(protocol.CodeOf(err)) {
		n++
	}
	if r, ok := answer.(*protocol.FactsReply); ok && r != nil {
		for _, c := range r.Results {
			if isLie(c) {
				n++
			}
		}
	}
	return n
}

// judge counts what an answer found, and ends the session of a peer that lied
// too much.
func (v *session) judge(answer any, err error) {
	from := v.Remote()
	now := v.now()
	known := v.strikes.out(from, now)
	if !v.strikes.count(from, liesIn(answer, err), now) {
		return
	}
	_ = v.Reset()
	if known { // what was under way on its other streams
		return
	}
	v.count.shunned.Add(1)
	v.log.Info("a peer lies too much", "peer", protocol.ShortPeer(from.Peer), "err", err)
	if s, ok := v.cfg.Net.(shunner); ok {
		s.Shun(from.Peer, now.Add(shunFor))
	}
}
