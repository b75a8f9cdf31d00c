package node

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
)

// factPage gathers facts up to a number of bytes.
type factPage struct {
	facts []protocol.Fact
	room  int
}

// factOverhead is what one fact takes in a message besides its bytes.
const factOverhead = 32

// add reports whether the fact had room.
func (p *factPage) add(f protocol.Fact) bool {
	if len(f.Bytes)+factOverhead > p.room || len(p.facts) >= protocol.MaxFactsPage {
		return false
	}
	p.room -= len(f.Bytes) + factOverhead
	p.facts = append(p.facts, f)
	return true
}

// wanted gives the facts asked for by name, as many as fit, to members and to
// holders of a group proof.
func (n *Node) wanted(ctx context.Context, from protocol.Remote, g *truth.Group, r *protocol.FactsRequest, page *factPage) error {
	if err := n.mayList(g, from, r.Proof); err != nil {
		return err
	}
	want := make(map[protocol.Hash]bool, len(r.Want))
	for _, h := range r.Want {
		if g.Knows(h) {
			want[h] = true
		}
	}
	if len(want) == 0 {
		return nil
	}
	for f, err := range n.store.Facts(ctx, g.ID) {
		if n.damaged(g.ID, err) {
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
		if !page.add(fromStore(f)) || len(want) == 0 {
			return nil
		}
	}
	return nil
}

// mayList checks the right to a group's lists. Members have it, and spares, and peers
// that were members or may become some and have to learn the group's facts, and
// anybody with a group proof. It refuses with CodeNotFound or CodeDenied.
func (n *Node) mayList(g *truth.Group, from protocol.Remote, proof []byte) error {
	record, _, err := g.Founded()
	if err != nil {
		return protocol.Refuse(protocol.CodeNotFound, "group %s is not held", g.ID.Prefix())
	}
	if n.belongs(g.ID, from.Peer) {
		return nil
	}
	if len(proof) == 0 {
		return errNoList
	}
	return protocol.CheckList(record, g.ID, from.Peer, proof)
}

var errNoList = protocol.Refuse(protocol.CodeDenied, "lists are for members and holders of a group proof")

// belongs reports whether a peer has, had or may get a place in a group.
func (n *Node) belongs(id protocol.GroupID, p peer.ID) bool {
	return n.neighbours.Sits(id, p) || n.nominees.has(id, p, n.neighbours.Now())
}

// mayLoad waits until a group may be read from the store for a peer's request,
// where it is not in memory.
func (n *Node) mayLoad(ctx context.Context, from protocol.Remote, id protocol.GroupID) error {
	if n.groups.Has(id) {
		return nil
	}
	return n.gate.Load(ctx, from, n.neighbours.Segments(id))
}
