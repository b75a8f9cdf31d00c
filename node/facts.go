package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// replyRoom is how many bytes of facts one reply holds besides its results.
const replyRoom = 224 << 10

// Facts takes what is offered into a group's truth and gives what is asked
// for. Offers are durable before they are answered.
func (n *Node) Facts(ctx context.Context, from protocol.Remote, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	id, err := n.groupOf(ctx, r)
	if err != nil {
		return nil, err
	}
	if err := n.mayLoad(ctx, from, id); err != nil {
		return nil, err
	}
	g, release, err := n.groups.OpenTurn(ctx, id)
	if err != nil {
		return nil, n.hideStore("open group", err)
	}
	defer release()
	reply := new(protocol.FactsReply)
	if len(r.Offer) > 0 {
		if reply.Results, err = n.keepOffer(ctx, from, g, r.Offer); err != nil {
			return nil, err
		}
	}
	page := &factPage{room: replyRoom}
	if len(r.Pointer) > 0 {
		list, err := g.PointerFacts(protocol.PointerID(r.Pointer))
		if err != nil {
			return nil, err
		}
		for _, f := range list {
			page.add(f)
		}
	}
	if len(r.Want) > 0 {
		if err := n.wanted(ctx, from, g, r, page); err != nil {
			return nil, err
		}
	}
	reply.Facts = page.facts
	return reply, nil
}

// keepOffer merges offered facts, makes those that count durable, and says
// what became of each. The group's turn is taken.
func (n *Node) keepOffer(ctx context.Context, from protocol.Remote, g *truth.Group, offer []protocol.Fact) ([]protocol.Code, error) {
	return n.keepWith(ctx, from, g, offer)
}

// keepWith is keepOffer with notes that belong to the facts.
func (n *Node) keepWith(ctx context.Context, from protocol.Remote, g *truth.Group, offer []protocol.Fact, notes ...storage.Fact) ([]protocol.Code, error) {
	fresh := !g.IsFounded()
	if fresh {
		if err := n.mayFound(g, offer); err != nil {
			return nil, err
		}
	}
	o := n.mergeOffer(from, g, offer)
	o.notes = notes
	if err := n.storeOffer(ctx, from, g, o, fresh); err != nil {
		n.groups.Forget(g) // it runs ahead of the store
		return nil, err
	}
	g.Saved()
	n.dropFacts(ctx, g.ID, o.drops)
	n.learnFrom(o)
	n.openSeats(g)
	if fresh {
		n.beginLease(g)
	}
	if o.renewal != nil {
		n.leases.renewed(g.ID, g.LastRenewal(), n.now())
		n.neighbours.Renewed(g.ID, o.renewal)
	}
	n.announceIfMember(g)
	return o.codes, o.cut
}

// offered is an offer on its way into the store.
type offered struct {
	codes     []protocol.Code
	keep      []protocol.Fact
	notes     []storage.Fact // to be stored with those that are kept
	drops     []protocol.Hash
	deleted   []protocol.SegmentID // held here, so to be freed
	frees     map[protocol.SegmentID]freeing
	envelopes []protocol.Envelope
	renewal   []byte // the newest, if it is news
	size      int64  // what the facts in drops were charged
	cut       error  // why the rest was not looked at
}

// mergeOffer verifies and merges facts, each after those that it depends on.
// Each forged fact counts against the peer immediately: hundreds come in one request,
// and requests of one peer on many streams wait here for the group's turn. If a peer
// is doubted, only some of its facts are looked at; it may offer the others again.
func (n *Node) mergeOffer(from protocol.Remote, g *truth.Group, offer []protocol.Fact) *offered {
	o := &offered{codes: make([]protocol.Code, len(offer)), frees: make(map[protocol.SegmentID]freeing)}
	order := make([]int, len(offer))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return truth.Rank(offer[a].Kind) - truth.Rank(offer[b].Kind) })
	for _, i := range order {
		switch f := offer[i]; {
		case g.Knows(f.ID()):
		case !n.strikes.mayTry(from, n.now()):
			o.codes[i] = protocol.CodeUnavailable
		default:
			o.codes[i] = n.mergeOne(g, f, o)
		}
		if c := o.codes[i]; isLie(c) && n.blame(from, protocol.Refuse(c, "a fact of group %s", g.ID.Prefix())) {
			o.cut = errLiar // what came true before is kept
			break
		}
	}
	return o
}

func (n *Node) mergeOne(g *truth.Group, f protocol.Fact, o *offered) protocol.Code {
	op, err := n.openFact(g, f)
	if err != nil {
		return protocol.CodeOf(err)
	}
	m := g.MergeNew(f, op, n.self, n.now())
	if !m.Kept {
		return m.Code
	}
	o.keep = append(o.keep, f)
	o.drops = append(o.drops, m.Drops...)
	o.size += dropCost(m)
	switch f.Kind {
	case protocol.FactEnvelope:
		o.envelopes = append(o.envelopes, f.Bytes)
	case protocol.FactRenewal:
		o.renewal = f.Bytes
	case protocol.FactGrant:
		if len(op.Grant.Subject) == len(protocol.SegmentID{}) {
			n.neighbours.Granted(g.ID)
		}
	case protocol.FactDelete:
		if s := op.Delete.Subject; len(s) == len(protocol.SegmentID{}) {
			n.neighbours.ForgetSegment(g.ID, protocol.SegmentID(s))
			if note, was := n.verdicts.drop(kin{g.ID, protocol.SegmentID(s)}); was {
				o.drops = append(o.drops, note)
			}
			if g.Has(protocol.SegmentID(s)) {
				o.deleted = append(o.deleted, protocol.SegmentID(s))
			}
		}
	}
	return 0
}

// openFact verifies a fact. Only a record founds the group that later ones are
// verified against.
func (n *Node) openFact(g *truth.Group, f protocol.Fact) (protocol.Opened, error) {
	r := g.Record()
	if r == nil && f.Kind != protocol.FactRecord {
		return protocol.Opened{}, protocol.Refuse(protocol.CodeUnknown, "the group's record is not held")
	}
	if r == nil {
		var err error
		if r, _, err = protocol.ParseGroupRecord(n.cfg.Network, f.Bytes); err != nil {
			return protocol.Opened{}, err
		}
	}
	if f.Kind == protocol.FactEnvelope { // each group that is shared with a peer brings the same one
		rec, err := n.opened.Open(f.Bytes)
		if err != nil {
			return protocol.Opened{}, fmt.Errorf("open fact: %w", err)
		}
		return protocol.Opened{Kind: f.Kind, Envelope: &rec}, nil
	}
	return protocol.OpenFact(r, g.ID, f)
}

// storeOffer makes room for the facts that count and stores them, with the
// notes that belong to them.
func (n *Node) storeOffer(ctx context.Context, from protocol.Remote, g *truth.Group, o *offered, fresh bool) error {
	batch, err := n.batchOf(g.ID, o)
	if err != nil || len(batch) == 0 {
		return err
	}
	if fresh {
		src, err := n.quota.Found(g.ID, quota.SourceOf(from), n.now())
		if err != nil {
			return err
		}
		nt, err := originNote(g.ID, src, n.now())
		if err != nil {
			n.quota.Unfound(g.ID)
			return err
		}
		batch = append(batch, nt)
	}
	err = n.storeBatch(ctx, g.ID, batch)
	if err != nil && fresh {
		n.quota.Unfound(g.ID)
	}
	if err != nil {
		return err
	}
	for s, f := range o.frees {
		n.frees.add(kin{g.ID, s}, f)
	}
	n.quota.Returned(g.ID, o.size)
	return nil
}

// batchOf lists what to store: facts that still count at the offer's end, and
// a note for each segment that waits to be freed.
func (n *Node) batchOf(g protocol.GroupID, o *offered) ([]storage.Fact, error) {
	dropped := make(map[protocol.Hash]bool, len(o.drops))
	for _, d := range o.drops {
		dropped[d] = true
	}
	var batch []storage.Fact
	for _, f := range o.keep {
		if dropped[f.ID()] {
			o.size -= factCost(len(f.Bytes)) // never charged
			continue
		}
		batch = append(batch, toStore(g, f))
	}
	if len(batch) > 0 {
		batch = append(batch, o.notes...)
	}
	for _, s := range o.deleted {
		nt, f, err := n.deletionNote(g, s)
		if err != nil {
			return nil, err
		}
		batch = append(batch, nt)
		o.frees[s] = f
	}
	return batch, nil
}

func (n *Node) storeBatch(ctx context.Context, g protocol.GroupID, batch []storage.Fact) error {
	var cost int64
	for _, f := range batch {
		cost += factCost(len(f.Bytes))
	}
	room, err := n.admit(ctx, g, cost)
	if err != nil {
		return err
	}
	if err := n.store.PutFact(context.WithoutCancel(ctx), batch...); err != nil {
		room.Dropped()
		return n.hideStore("store facts", err)
	}
	room.Stored()
	return nil
}

// learnFrom hands the addresses in offered envelopes to the network and to the
// list of nodes to get to know.
func (n *Node) learnFrom(o *offered) {
	for _, e := range o.envelopes {
		n.hear(e)
	}
}
