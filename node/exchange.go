package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Bounds of comparing facts with co-members (docs/decisions/0020).
const (
	// partners is how many members of each group a node compares its facts
	// with in each ExchangeEvery. News spreads like a rumour: with two, all of 56
	// members have it within four rounds.
	partners = 2
	// roundsPerExchange is how often in an ExchangeEvery due groups are looked
	// for.
	roundsPerExchange = 96
	// catchUpPart is the part of an ExchangeEvery within which a node that was
	// away asks the members of all its groups, and retryPart the part after which
	// it asks again where nobody answered.
	catchUpPart = 4
	retryPart   = 24

	exchangeAtOnce  = 4 // groups compared at a time
	exchangeTimeout = 5 * time.Second
)

// exchangeLoop compares the facts of all groups again and again, spread over
// the time that each round of them has.
func (n *Node) exchangeLoop(ctx context.Context) {
	for pause(ctx, n.rand.jitter(n.cfg.Timing.ExchangeEvery/roundsPerExchange), nil) {
		if err := n.exchangeOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("comparing facts", "err", err)
		}
	}
}

// exchangeOnce compares the facts of the groups that are due, as many as keep
// the pace.
func (n *Node) exchangeOnce(ctx context.Context) error {
	every := n.cfg.Timing.ExchangeEvery
	held := n.quota.IDs()
	if n.exchange.wasAway(n.neighbours.Touched(), n.cfg.Timing.Liveness.AbsentAfter) {
		n.exchange.cameBack(held, n.now(), every/catchUpPart, &n.rand)
	}
	due := n.exchange.plan(held, n.now(), every, &n.rand)
	most := 1 + 4*catchUpPart*len(held)/roundsPerExchange
	err := atOnce(exchangeAtOnce, min(len(due), most), func(i int) error { return n.exchangeGroup(ctx, due[i]) })
	return errors.Join(err, n.revisit(ctx))
}

// exchangeGroup compares one group's facts with some of its members, or with
// all of them after an absence.
func (n *Node) exchangeGroup(ctx context.Context, id protocol.GroupID) error {
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return n.hideStore("open group", err)
	}
	defer release()
	if !g.IsFounded() || n.leases.state(id, n.now()) == group.Expired {
		return nil
	}
	if err := n.tellAddress(ctx, g); err != nil {
		n.log.Debug("keep the own address", "group", id.Prefix(), "err", err)
	}
	stale := n.exchange.isStale(id)
	with := n.comembers(id, stale)
	answered, dawdled, all := 0, 0, stale
	for _, p := range with {
		if dawdled == dawdlersAsked {
			all = false // the others are asked in an hour, and these come last
			break
		}
		_, err := n.compare(ctx, g, p)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil {
			answered++
		} else {
			if errors.Is(err, errDawdles) {
				n.exchange.dawdle(p, n.neighbours.Now(), n.cfg.Timing.ExchangeEvery)
				dawdled++
			}
			n.log.Debug("member does not compare facts", "group", id.Prefix(), "peer", protocol.ShortPeer(p), "err", err)
		}
	}
	if len(with) == 0 {
		answered = 1 // there is nobody to know better
	}
	if granted, lacked := g.GrantedSegments(); !g.Partial { // else they may lie on the disk that is missing
		n.neighbours.LackOwn(id, lacked)
		if answered > 0 { // and this node knows what the others do
			n.neighbours.KeepLacks(id, granted)
		}
	}
	findable, segments := g.GrantedNow()
	n.neighbours.Grant(id, findable, segments)
	n.exchange.done(id, all, answered, n.now(), n.cfg.Timing.ExchangeEvery, &n.rand)
	return nil
}

// comembers returns the peers to compare a group's facts with, in random order:
// partners of its other holders that answer; with all, everybody that is a holder or
// ever was one, because facts prove themselves whoever gives them, and a peer that
// was found gone may know a newer one. One of the members that have not told yet what
// they have comes first; only one, or members that never tell would keep all others
// from being asked. A peer that dawdled within a day is asked only where nobody else
// answers.
func (n *Node) comembers(id protocol.GroupID, all bool) []peer.ID {
	var answering, others, dawdling []peer.ID
	untold := make(map[peer.ID]bool)
	for _, h := range n.neighbours.Holders(id) {
		switch {
		case !h.Member && h.Lost == 0: // it asks to be one, or is a spare
		case n.exchange.dawdles(h.Peer, n.neighbours.Now()):
			dawdling = append(dawdling, h.Peer)
		case h.State == liveness.Present:
			answering = append(answering, h.Peer)
			untold[h.Peer] = h.Member && !n.neighbours.HasTold(id, h.Peer, h.Slot)
		default:
			others = append(others, h.Peer)
		}
	}
	if len(answering) == 0 { // not as many as an exchange waits for: the others are asked, too
		n.rand.shuffle(len(dawdling), func(i, j int) { dawdling[i], dawdling[j] = dawdling[j], dawdling[i] })
		answering = dawdling[:min(len(dawdling), dawdlersAsked-1)]
	}
	n.rand.shuffle(len(answering), func(i, j int) { answering[i], answering[j] = answering[j], answering[i] })
	if i := slices.IndexFunc(answering, func(p peer.ID) bool { return untold[p] }); i > 0 {
		answering[0], answering[i] = answering[i], answering[0]
	}
	if !all && len(answering) > 0 {
		return answering[:min(len(answering), partners)]
	}
	n.rand.shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
	if !all {
		return others[:min(len(others), partners)]
	}
	return append(answering, others...)
}

// compare brings this node and one member to the same facts of a group, and
// learns what the member lacks of its segments; told is false where it does not
// say. What came before a member was given up is kept: the next comparison goes on
// from there.
func (n *Node) compare(ctx context.Context, g *truth.Group, with peer.ID) (told bool, err error) {
	t := &conversation{compareSlack}
	have, q, err := n.askDigests(ctx, t, g, with)
	if errors.Is(err, protocol.ErrNotFound) || errors.Is(err, protocol.ErrUnknown) {
		if !n.isAlive(g.ID) {
			return false, nil // or its lease has ended there already
		}
		return false, n.offerFacts(ctx, t, g, with, g.FactIDs(nil)) // it has lost the group, or never heard of it
	}
	if err != nil {
		return false, err
	}
	if have.Same {
		n.neighbours.HeardList(g.ID, with, q, nil)
		return true, nil
	}
	if err := n.compareFacts(ctx, t, g, with, have.FactDigests); err != nil {
		return false, err
	}
	granted, _ := g.GrantedSegments() // with what was just told
	return n.hearLists(ctx, t, g.ID, with, n.neighbours.Question(g.ID, granted, true), have.SegmentDigests)
}

func (n *Node) compareFacts(ctx context.Context, t *conversation, g *truth.Group, with peer.ID, digests []byte) error {
	buckets, err := n.differing(ctx, g, digests)
	if err != nil || len(buckets) == 0 {
		return err
	}
	theirs, err := n.listFacts(ctx, t, g, with, buckets)
	if err != nil {
		return err
	}
	var news []protocol.Hash
	lacks := g.FactIDs(buckets)
	for h := range theirs {
		if !g.Knows(h) {
			news = append(news, h)
		}
	}
	lacks = slices.DeleteFunc(lacks, func(h protocol.Hash) bool { return theirs[h] })
	if err := n.fetchFacts(ctx, t, g, with, news); err != nil {
		return err
	}
	return n.offerFacts(ctx, t, g, with, lacks)
}

// askDigests asks a member for its digests. Mostly the member has just this node's
// facts, and a shard of each granted segment, which the question is about: then it
// only says so.
func (n *Node) askDigests(ctx context.Context, t *conversation, g *truth.Group, with peer.ID) (have *protocol.HaveReply, q neighbours.Question, err error) {
	now, release, err := n.groups.OpenTurn(ctx, g.ID)
	if err != nil {
		return nil, q, n.hideStore("open group", err)
	}
	expected, lacked := now.GrantedSegments()
	root := now.RootOf(expected, len(lacked) == 0)
	q = n.neighbours.Question(g.ID, expected, true)
	release()
	have, err = t.have(ctx, n, with, &protocol.HaveRequest{Group: g.ID, Root: root})
	return have, q, err
}

func (n *Node) askHave(ctx context.Context, with peer.ID, r *protocol.HaveRequest) (*protocol.HaveReply, error) {
	return (&conversation{exchangeTimeout}).have(ctx, n, with, r)
}

// differing returns the buckets in which a member's facts are not this node's.
func (n *Node) differing(ctx context.Context, g *truth.Group, theirs []byte) ([]int, error) {
	if len(theirs) == 0 {
		return nil, protocol.Refuse(protocol.CodeDenied, "the member shows no digests")
	}
	now, release, err := n.groups.OpenTurn(ctx, g.ID)
	if err != nil {
		return nil, n.hideStore("open group", err)
	}
	defer release()
	ours := now.FactDigests()
	const size = len(protocol.Hash{})
	var out []int
	for b := range protocol.Buckets {
		if [size]byte(ours[b*size:]) != [size]byte(theirs[b*size:]) {
			out = append(out, b)
		}
	}
	return out, nil
}

// tellAddress keeps this node's own newest peer record among the group's facts,
// where its addresses are others than those kept: a member that was away for long,
// and a reader with an old hint, learn of them from any member.
func (n *Node) tellAddress(ctx context.Context, g *truth.Group) error {
	env, err := n.cfg.Net.Envelope()
	if err != nil {
		return err
	}
	rec, err := n.opened.Open(env)
	if err != nil || len(rec.Addrs) == 0 {
		return err
	}
	if old, err := n.opened.Open(g.EnvelopeOf(n.self)); err == nil && sameAddrs(old, rec) {
		return nil
	}
	_, err = n.mergeHere(ctx, g, []protocol.Fact{{Kind: protocol.FactEnvelope, Bytes: env}})
	return err
}

func sameAddrs(a, b protocol.PeerRecord) bool {
	return slices.EqualFunc(a.Addrs, b.Addrs, func(x, y multiaddr.Multiaddr) bool { return x.Equal(y) })
}
