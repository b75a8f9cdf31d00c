package node

import (
	"context"
	"errors"

	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// groupOf returns the group that a request is about: the one held under its
// prefix, or the one whose record it offers.
func (n *Node) groupOf(ctx context.Context, r *protocol.FactsRequest) (protocol.GroupID, error) {
	id, err := n.store.GroupByPrefix(ctx, r.Group)
	if err == nil {
		return id, nil
	}
	if !errors.Is(err, storage.ErrNotFound) {
		return id, n.hideStore("find group", err)
	}
	if len(r.Offer) == 0 {
		return id, protocol.Refuse(protocol.CodeNotFound, "group %s is not held", r.Group)
	}
	for _, f := range r.Offer {
		if f.Kind != protocol.FactRecord {
			continue
		}
		if _, id, err = protocol.ParseGroupRecord(n.cfg.Network, f.Bytes); err != nil {
			return id, err
		}
		if id.Prefix() != r.Group {
			return id, protocol.Refuse(protocol.CodeMalformed, "the record is of group %s", id.Prefix())
		}
		return id, nil
	}
	return id, protocol.Refuse(protocol.CodeUnknown, "group %s is not held: offer its record", r.Group)
}

// mayFound checks that an offer of a group that is new here founds it: it brings
// record and table; the table names this node, or this node was nominated for one of
// its slots; and this node takes new groups, or has promised this one room.
func (n *Node) mayFound(g *truth.Group, offer []protocol.Fact) error {
	id := g.ID
	rec, err := n.offeredRecord(id, offer)
	if err != nil {
		return err
	}
	for _, f := range offer {
		if f.Kind != protocol.FactTable {
			continue
		}
		t, err := protocol.OpenTable(rec, id, f.Bytes)
		switch {
		case err != nil:
			return err
		case t.SlotOf(n.self) < 0 && !g.NominatedTo(len(t.Slots)):
			return protocol.Refuse(protocol.CodeWrongSlot, "the table does not name this node")
		}
		if err := n.checkOffered(rec, id, offer); err != nil {
			return err
		}
		if n.leaves() {
			// Else a member that compares facts would bring back what it has handed over.
			return protocol.Refuse(protocol.CodeDraining, "this node is leaving")
		}
		if n.quota.HasReservation(id, n.now()) {
			return nil // Form said yes
		}
		return n.admits()
	}
	return protocol.Refuse(protocol.CodeUnknown, "group %s is not held: offer its table", id.Prefix())
}

func (n *Node) offeredRecord(id protocol.GroupID, offer []protocol.Fact) (*protocol.GroupRecord, error) {
	for _, f := range offer {
		if f.Kind != protocol.FactRecord {
			continue
		}
		r, got, err := protocol.ParseGroupRecord(n.cfg.Network, f.Bytes)
		if err != nil || got == id {
			return r, err
		}
	}
	return nil, protocol.Refuse(protocol.CodeUnknown, "group %s is not held: offer its record", id.Prefix())
}
