package node

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/time/rate"

	"github.com/cairnstore/cairn/node/gate"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/protocol"
)

// How many lies are tolerated. It costs some 50 to 100 µs to find one out, a
// hundred times what telling it costs; honest peers tell next to none.
const (
	peerStrikes   = 256 // of one peer in a burst,
	peerForgiven  = 4   // and each second after that
	sourceStrikes = 4096
	sourceForgive = 64
	maxStruck     = 65_536 // peers, or sources, under watch

	// A peer that has told peerDoubted lies is doubted: it is tolerated, but not
	// at the pace that it likes. Of all doubted peers together, doubtedPace
	// requests, and facts in them, are looked into a second: that takes a few
	// hundredths of a core.
	peerDoubted  = 32
	doubtedPace  = 256
	doubtedBurst = 16

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
	sources *protocol.Pace[quota.Source]
	doubted *rate.Limiter
}

func newStrikes() *strikes {
	return &strikes{
		peers:   protocol.NewPace[peer.ID](peerForgiven, peerStrikes, maxStruck),
		sources: protocol.NewPace[quota.Source](sourceForgive, sourceStrikes, maxStruck),
		doubted: rate.NewLimiter(doubtedPace, doubtedBurst),
	}
}

// count counts n lies and reports whether the peer has used up what is tolerated:
// of itself, or of its source; once the source has, each further lie is too many.
func (s *strikes) count(from protocol.Remote, n int, now time.Time) (out bool) {
	if n == 0 {
		return false
	}
	out = !s.peers.Take(from.Peer, n, now) || s.out(from, now)
	if at := quota.SourceOf(from); !at.Exempt() && !s.sources.Take(at, n, now) {
		s.peers.Take(from.Peer, peerStrikes+1, now) // nothing is left for it
		out = true
	}
	return out
}

// out reports whether a peer has lied too much.
func (s *strikes) out(from protocol.Remote, now time.Time) bool {
	return s.peers.Spent(from.Peer, now)
}

// doubts reports whether a peer has lied so often that it must wait.
func (s *strikes) doubts(from protocol.Remote, now time.Time) bool {
	return s.peers.Left(from.Peer, now) < peerStrikes-peerDoubted
}

// mayTry reports whether something that a peer claims may be looked into now.
func (s *strikes) mayTry(from protocol.Remote, now time.Time) bool {
	return !s.doubts(from, now) || !s.out(from, now) && s.doubted.Allow()
}

// listen waits until a request that is about to be read may be looked into,
// where its peer is doubted. Nothing is held meanwhile but the stream.
func (v *session) listen() error {
	if !v.strikes.doubts(v.Remote(), v.now()) {
		return nil
	}
	ctx, cancel := context.WithTimeout(v.life, gate.Patience)
	defer cancel()
	if err := v.strikes.doubted.Wait(ctx); err != nil {
		return err
	}
	return v.heard(v.Remote())
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

// blame counts a lie of a peer, and ends all that it has here when it lied too
// much. It reports whether it did.
func (n *Node) blame(from protocol.Remote, err error) (out bool) {
	now := n.now()
	known := n.strikes.out(from, now)
	if !n.strikes.count(from, 1, now) {
		return false
	}
	if known { // it lied on another stream meanwhile
		return true
	}
	n.count.shunned.Add(1)
	n.log.Info("a peer lies too much", "peer", protocol.ShortPeer(from.Peer), "err", err)
	if s, ok := n.cfg.Net.(shunner); ok {
		s.Shun(from.Peer, now.Add(shunFor))
	}
	return true
}

// errLiar ends what a peer that is no longer listened to has under way.
var errLiar = protocol.Refuse(protocol.CodeUnavailable, "what you claim was found false too often")

// heard refuses a peer that lied too much, so that nothing more of what it has
// sent already is looked into.
func (n *Node) heard(from protocol.Remote) error {
	if n.strikes.out(from, n.now()) {
		return errLiar
	}
	return nil
}

// judge counts the lie that a request turned out to be, and ends the session of
// a peer that lied too much.
func (v *session) judge(err error) {
	from := v.Remote()
	if err != nil && isLie(protocol.CodeOf(err)) {
		v.blame(from, err)
	}
	if v.heard(from) != nil {
		_ = v.Reset()
	}
}
