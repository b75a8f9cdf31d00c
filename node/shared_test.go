package node

import (
	"fmt"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// What groups share is bounded, and a stranger may found as many groups as it likes
// over an open node, all of whose members it is. It leaves room for others.

var widest = protocol.Profile{K: 26, R: 70, N: protocol.MaxShards}

// identities are a stranger's members of a group, this node among them.
func (w *world) identities(n int) []identity {
	out := make([]identity, n)
	for i := range out {
		if out[i] = newIdentity(w.t, w.r); i == ownSlot {
			out[i] = identity{id: w.net.id}
		}
	}
	return out
}

// stranger founds a group over identities of its own.
func (w *world) stranger(p protocol.Profile, ids []identity) *owner {
	w.t.Helper()
	o := w.newOwner()
	o.profile, o.members = p, ids
	holders := make([]peer.ID, p.N)
	for i := range holders {
		holders[i] = ids[i].id
	}
	o.table = o.tableOf(holders)
	return o.found()
}

// Whoever audits from one address, or for a few groups only, keeps others' audits
// from nothing, however many it is.
func TestPendingsAreShared(t *testing.T) {
	for name, addr := range map[string]func(i int) string{
		"one address":    func(int) string { return "/ip4/66.6.6.6/tcp/1" },
		"many addresses": func(i int) string { return fmt.Sprintf("/ip4/66.%d.%d.6/tcp/1", i/200, i%200) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 915, nil)
			audit := func(g *owner, id peer.ID, addr string) (*protocol.AuditReply, error) {
				return w.node.Audit(t.Context(), at(id, addr), &protocol.AuditRequest{Group: g.id, Commit: protocol.Hash(randomBytes(w.r, 32)), Shards: []protocol.ShardRef{{}}})
			}
			took := 0
			flood := func() {
				for g := range 9 {
					o := w.stranger(widest, w.identities(widest.N))
					for i, m := range o.members {
						if _, err := audit(o, m.id, addr(g*widest.N+i)); err == nil {
							took++
						}
					}
				}
			}
			flood()
			o := w.newOwner().found()
			for i, m := range o.members {
				if i == ownSlot {
					continue
				}
				if _, err := audit(o, m.id, fmt.Sprintf("/ip4/20.%d.0.1/tcp/1", i)); err != nil {
					t.Errorf("member %d, after %d audits of a stranger's: %v", i, took, err)
				}
			}
			flood()
			for i, m := range o.members {
				if i != ownSlot && w.node.pendings.take(m.id, w.clock.now()) == nil {
					t.Errorf("the challenge of member %d had to give way", i)
				}
			}
			if n := w.node.pendings.t.Len(); n > maxPending {
				t.Errorf("%d challenges wait", n)
			}
		})
	}
}
