package client

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Bounds of bringing the same facts to all members of a group.
const (
	syncTimeout = 5 * time.Second
	mostFacts   = 4 * protocol.MaxGroupSegments // grants, deletes, pointers and a few others
)

// memberView is what one member has of a group.
type memberView struct {
	peer    peer.ID
	digests []byte
	facts   map[protocol.Hash]bool // of the buckets that differ
}

// sync asks every member for its facts of the group and brings each of them those
// that only others have. It returns how many answered.
func (c *Client) sync(ctx context.Context, g *ownGroup) int {
	ctx, cancel := context.WithTimeout(ctx, syncTimeout)
	defer cancel()
	c.learnMembers(g)
	views := c.askHave(ctx, g)
	if buckets := differing(views); len(buckets) > 0 {
		c.listBuckets(ctx, g, views, buckets)
		c.level(ctx, g, views)
	}
	if now := c.now(); g.renewalDue(now) {
		if told, _ := c.tellAll(ctx, g, []protocol.Fact{g.renewal(now)}); told >= group.WriteQuorum(g.profile) {
			if err := g.renewed(now); err != nil {
				c.log.Warn("journal a renewal", "err", err)
			}
		}
	}
	return len(views)
}

// learnMembers hands the members' addresses in the journal to the network.
func (c *Client) learnMembers(g *ownGroup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, e := range g.state.Envelopes {
		if rec, err := c.opened.Open(e); err == nil {
			c.net.Learn(rec.Info())
		}
	}
}

func (c *Client) askHave(ctx context.Context, g *ownGroup) []*memberView {
	holders := g.holders()
	answers := make(chan *memberView, len(holders))
	for slot, h := range holders {
		go func() { answers <- c.askMember(ctx, g, slot, h) }()
	}
	var views []*memberView
	for range holders {
		if v := <-answers; v != nil {
			views = append(views, v)
		}
	}
	return views
}

// askMember returns a member's digests, or nil where it does not answer. One
// that lost or never had the group is told of it anew.
func (c *Client) askMember(ctx context.Context, g *ownGroup, slot int, h peer.ID) *memberView {
	if h == "" {
		return nil
	}
	proof := protocol.SignList(g.ownerKey, g.networkName, g.id, c.net.Self())
	have, err := c.call.Have(ctx, h, &protocol.HaveRequest{Group: g.id, Proof: proof})
	if code := protocol.CodeOf(err); err != nil && (code == protocol.CodeUnknown || code == protocol.CodeNotFound) {
		if err = c.tell(ctx, g, h, g.foundingFacts()); err == nil {
			have, err = c.call.Have(ctx, h, &protocol.HaveRequest{Group: g.id, Proof: proof})
		}
	}
	if err != nil {
		c.log.Debug("member does not answer", "group", g.id.Prefix(), "slot", slot, "err", err)
		return nil
	}
	c.refreshEnvelope(ctx, g, slot, h, proof)
	return &memberView{peer: h, digests: have.FactDigests, facts: map[protocol.Hash]bool{}}
}

// refreshEnvelope keeps the peer record in which a member says where it is now.
func (c *Client) refreshEnvelope(ctx context.Context, g *ownGroup, slot int, h peer.ID, proof []byte) {
	m, err := c.call.Members(ctx, h, &protocol.MembersRequest{Group: g.id, Proof: proof})
	if err != nil {
		return
	}
	for _, mem := range m.Members {
		rec, err := c.opened.Open(mem.Envelope)
		if err != nil || mem.Slot != slot || rec.Peer != h {
			continue
		}
		g.mu.Lock()
		old, oldErr := c.opened.Open(g.state.Envelopes[slot])
		g.mu.Unlock()
		if oldErr != nil || rec.Seq > old.Seq {
			if err := g.setEnvelope(slot, mem.Envelope); err != nil {
				c.log.Warn("keep a member's address", "err", err)
			}
		}
	}
}

// differing returns the buckets in which not all members have the same facts.
func differing(views []*memberView) []int {
	var out []int
	for b := range protocol.Buckets {
		for _, v := range views[min(1, len(views)):] {
			if bucketDigest(v, b) != bucketDigest(views[0], b) {
				out = append(out, b)
				break
			}
		}
	}
	return out
}

func bucketDigest(v *memberView, b int) (h protocol.Hash) {
	if len(v.digests) == protocol.Buckets*len(h) {
		copy(h[:], v.digests[b*len(h):])
	}
	return h
}

// listBuckets fills each view with the names of its facts in some buckets.
func (c *Client) listBuckets(ctx context.Context, g *ownGroup, views []*memberView, buckets []int) {
	proof := protocol.SignList(g.ownerKey, g.networkName, g.id, c.net.Self())
	done := make(chan struct{}, len(views))
	for _, v := range views {
		go func() {
			defer func() { done <- struct{}{} }()
			for rest := buckets; len(rest) > 0; {
				m, err := c.call.Have(ctx, v.peer, &protocol.HaveRequest{Group: g.id, Proof: proof, Facts: rest})
				if err != nil || m.FactsDone <= 0 || m.FactsDone > len(rest) {
					return
				}
				for _, h := range m.Facts {
					v.facts[h] = true
				}
				if len(v.facts) > mostFacts {
					return // more than there can be: it makes them up
				}
				rest = rest[m.FactsDone:]
			}
		}()
	}
	for range views {
		<-done
	}
}

// level fetches each fact that some member lacks from one that has it, and
// offers it to those that lack it.
func (c *Client) level(ctx context.Context, g *ownGroup, views []*memberView) {
	fetched := make(map[protocol.Hash]protocol.Fact)
	for _, from := range views {
		var want []protocol.Hash
		for h := range from.facts {
			if _, ok := fetched[h]; !ok && lacking(views, h) {
				want = append(want, h)
			}
		}
		c.fetchFacts(ctx, g, from.peer, want, fetched)
	}
	for _, to := range views {
		var missing []protocol.Fact
		for h, f := range fetched {
			if !to.facts[h] {
				missing = append(missing, f)
			}
		}
		if len(missing) == 0 {
			continue
		}
		if err := c.tell(ctx, g, to.peer, missing); err != nil {
			c.log.Debug("member did not take facts that others have", "err", err)
		}
	}
}

func lacking(views []*memberView, h protocol.Hash) bool {
	for _, v := range views {
		if !v.facts[h] {
			return true
		}
	}
	return false
}

func (c *Client) fetchFacts(ctx context.Context, g *ownGroup, from peer.ID, want []protocol.Hash, into map[protocol.Hash]protocol.Fact) {
	proof := protocol.SignList(g.ownerKey, g.networkName, g.id, c.net.Self())
	for len(want) > 0 {
		page := want[:min(len(want), factsPage)]
		want = want[len(page):]
		m, err := c.call.Facts(ctx, from, &protocol.FactsRequest{Group: g.id.Prefix(), Want: page, Proof: proof})
		if err != nil {
			return
		}
		for _, f := range m.Facts {
			if _, err := protocol.OpenFact(g.record, g.id, f); err == nil {
				into[f.ID()] = f
			}
		}
	}
}
