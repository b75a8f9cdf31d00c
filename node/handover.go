package node

import (
	"bytes"
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// handovers are the slots that others handed over to this node: what the holder
// signed, and which holder it was.
type handovers struct {
	mu sync.Mutex
	m  map[protocol.GroupID]given
}

// given is a handover to this node.
type given struct {
	By       []byte `cbor:"by"`       // peer ID of the holder
	Since    int64  `cbor:"since"`    // Unix seconds: when it came
	Handover []byte `cbor:"handover"` // as the holder signed it
	note     note.Saved
}

func newHandovers() *handovers { return &handovers{m: make(map[protocol.GroupID]given)} }

// of returns the handover by which this node got a group's slot; nil: none.
func (h *handovers) of(g protocol.GroupID) []byte { return h.get(g).Handover }

func (h *handovers) get(g protocol.GroupID) given {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.m[g]
}

func (h *handovers) set(g protocol.GroupID, v given) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.m[g] = v
}

func (h *handovers) drop(g protocol.GroupID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.m, g)
}

// since returns the groups whose slots were handed over to this node after a
// time.
func (h *handovers) since(t time.Time) (out []protocol.GroupID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for g, v := range h.m {
		if v.Since >= t.Unix() {
			out = append(out, g)
		}
	}
	return out
}

// restore takes a stored note.
func (h *handovers) restore(f storage.Fact) {
	var v given
	if err := protocol.Decode("note", f.Bytes, &v); err != nil || peer.ID(v.By).Validate() != nil {
		return // damaged: the holder gives it again
	}
	v.note = note.SavedAs(f)
	h.set(f.Group, v)
}

// isGiven reports whether a peer hands a slot over to this very node.
func (n *Node) isGiven(from peer.ID, r *protocol.EnterRequest) bool {
	if len(r.Handover) == 0 {
		return false
	}
	o, err := protocol.OpenHandover(n.cfg.Network, r.Group, from, r.Handover)
	return err == nil && o.Slot == r.Slot && peer.ID(o.Successor) == n.self
}

// takeHandover keeps, durably, a handover of the slot for which this node was
// nominated, and asks the members to be let in with it.
func (n *Node) takeHandover(ctx context.Context, from protocol.Remote, r *protocol.EnterRequest) error {
	g, release, err := n.groups.OpenTurn(ctx, r.Group)
	if err != nil {
		return n.hideStore("open group", err)
	}
	defer release()
	switch {
	case !g.IsFounded():
		return protocol.Refuse(protocol.CodeNotFound, "group %s is not held", r.Group.Prefix())
	case g.OwnSlot() != r.Slot:
		return protocol.Refuse(protocol.CodeWrongSlot, "slot %d is another's", r.Slot)
	case n.leaves():
		return protocol.Refuse(protocol.CodeDraining, "this node is leaving")
	}
	if err := n.keepHandover(ctx, g, from.Peer, r); err != nil {
		return err
	}
	n.neighbours.Lose(r.Group, from.Peer, r.Slot, neighbours.LostHanded)
	n.reannounce(r.Group)
	n.enterAll(r.Group)
	return nil
}

// keepHandover stores a handover, unless it is the one that is kept. The members
// know who holds the slot. This node may know only which peer nominated it: it takes
// a handover from that peer, but not in place of one from a peer with a place in the
// group.
func (n *Node) keepHandover(ctx context.Context, g *truth.Group, from peer.ID, r *protocol.EnterRequest) error {
	was := n.handovers.get(g.ID)
	if bytes.Equal(was.Handover, r.Handover) {
		return nil
	}
	if !n.neighbours.HoldsSlot(g.ID, from, r.Slot) && (!g.NominatedBy(from) || n.neighbours.Sits(g.ID, peer.ID(was.By))) {
		return protocol.Refuse(protocol.CodeDisputed, "slot %d is another's to hand over", r.Slot)
	}
	v := given{By: []byte(from), Since: n.now().Unix(), Handover: r.Handover}
	f, err := note.New(g.ID, note.Handover, v)
	if err != nil {
		return err
	}
	if err := n.storeBatch(ctx, g.ID, []storage.Fact{f}); err != nil {
		return err
	}
	v.note = note.SavedAs(f)
	n.handovers.set(g.ID, v)
	if was.note.Size > 0 {
		n.dropFacts(ctx, g.ID, []protocol.Hash{was.note.ID})
		n.quota.Returned(g.ID, noteCost(was.note.Size))
	}
	n.log.Info("a slot was handed over to this node", "group", g.ID.Prefix(), "slot", r.Slot, "by", protocol.ShortPeer(from))
	return nil
}
