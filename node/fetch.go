package node

import (
	"context"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
)

// factPage gathers facts up to a number of bytes.
type factPage struct {
	facts []protocol.Fact
	room  int
}

// factOverhead is what one fact takes in a message beside its bytes.
const factOverhead = 32

// add reports whether the fact had room.
func (p *factPage) add(k protocol.FactKind, b []byte) bool {
	if len(b)+factOverhead > p.room || len(p.facts) >= protocol.MaxFactsPage {
		return false
	}
	p.room -= len(b) + factOverhead
	p.facts = append(p.facts, protocol.Fact{Kind: k, Bytes: b})
	return true
}

// openPointer gives whoever names a group and a pointer of it what opens the
// pointer: record, table, the pointer's records, the members' envelopes.
func (g *groupState) openPointer(page *factPage, p protocol.PointerID) error {
	if _, _, err := g.founded(); err != nil {
		return protocol.Refuse(protocol.CodeNotFound, "group %s is not held", g.id.Prefix())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, gone := g.deletes[string(p[:])]; gone {
		return protocol.Refuse(protocol.CodeDeleted, "pointer %s", p)
	}
	list := g.pointers[p]
	if len(list) == 0 {
		return protocol.Refuse(protocol.CodeNotFound, "pointer %s is not held", p)
	}
	page.add(protocol.FactRecord, g.recordRaw)
	page.add(protocol.FactTable, g.tableRaw)
	for _, r := range list {
		page.add(protocol.FactPointer, r.raw)
	}
	for _, e := range g.envelopes {
		page.add(protocol.FactEnvelope, e.raw)
	}
	return nil
}

// wanted gives the facts asked for by name, as many as fit, to members and to
// holders of a group proof.
func (n *Node) wanted(ctx context.Context, from protocol.Remote, g *groupState, r *protocol.FactsRequest, page *factPage) error {
	if err := n.mayList(g, from, r.Proof); err != nil {
		return err
	}
	want := make(map[protocol.Hash]bool, len(r.Want))
	for _, h := range r.Want {
		if g.knows(h) {
			want[h] = true
		}
	}
	if len(want) == 0 {
		return nil
	}
	for f, err := range n.store.Facts(ctx, g.id) {
		if n.damaged(g.id, err) {
			continue
		}
		if err != nil {
			return n.hideStore("read facts", err)
		}
		id := f.ID()
		if note.Is(f.Kind) || !want[id] {
			continue
		}
		delete(want, id)
		if !page.add(protocol.FactKind(f.Kind), f.Bytes) || len(want) == 0 {
			return nil
		}
	}
	return nil
}

// mayList checks the right to a group's lists: a member asks, or a spare, or one
// that was or may be a member and has to learn the group's facts, or somebody with
// a group proof. It refuses with CodeNotFound or CodeDenied.
func (n *Node) mayList(g *groupState, from protocol.Remote, proof []byte) error {
	record, table, err := g.founded()
	if err != nil {
		return protocol.Refuse(protocol.CodeNotFound, "group %s is not held", g.id.Prefix())
	}
	if n.neighbours.Sits(g.id, from.Peer) || n.nominees.has(g.id, from.Peer, table.Profile.N, n.neighbours.Now()) {
		return nil
	}
	if len(proof) == 0 {
		return protocol.Refuse(protocol.CodeDenied, "lists are for members and holders of a group proof")
	}
	return protocol.CheckList(record, g.id, from.Peer, proof)
}
