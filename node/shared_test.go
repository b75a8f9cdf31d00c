package node

import (
	"fmt"
	"testing"
	"time"

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

// A stranger's groups name no candidate for more than one slot, and leave room for
// the candidates of others' groups.
func TestNomineesAreShared(t *testing.T) {
	const until = 24 * time.Hour
	for name, by := range map[string]func(i int) []crowd{
		"one address":    func(int) []crowd { return []crowd{crowdBy(at(idFor(1), "/ip4/66.6.6.6/tcp/1"))} },
		"many addresses": func(i int) []crowd { return []crowd{{peer: idFor(i)}} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newNominees()
			flood := func(many byte) {
				for g := range 2 * maxNominees / widest.N {
					for slot := range widest.N {
						i := g*widest.N + slot
						l.name(place{protocol.GroupID{many, byte(g), byte(g >> 8)}, slot}, nominee{peer: idFor(slot), until: until, byTurn: true}, 0, by(i)...)
					}
				}
			}
			flood(1)
			honest := protocol.GroupID{9}
			for slot := range 20 {
				by := []crowd{crowdBy(at(idFor(1), fmt.Sprintf("/ip4/20.%d.0.1/tcp/1", slot)))}
				if !l.name(place{honest, slot}, nominee{peer: idFor(1000 + slot), until: until}, 0, by[:slot%2]...) {
					t.Fatalf("no room for the candidate of slot %d", slot)
				}
			}
			flood(2)
			for slot := range 20 {
				if _, named := l.at(place{honest, slot}, 0); !named {
					t.Errorf("the candidate of slot %d had to give way", slot)
				}
			}
			if n := l.t.Len(); n != maxNominees {
				t.Errorf("%d candidates", n)
			}
			if l.name(place{honest, 99}, nominee{peer: idFor(1), until: 2 * until}, until); l.t.Len() != 1 {
				t.Errorf("%d candidates a day later", l.t.Len())
			}
		})
	}
}

// A candidate is named for one slot of a group; where another named it than the
// drawer, it is free for the drawer's.
func TestNomineesOfOneSlot(t *testing.T) {
	l, g := newNominees(), protocol.GroupID{1}
	const day = 24 * time.Hour
	for _, c := range []struct {
		what   string
		slot   int
		peer   int
		byTurn bool
		at     time.Duration
		want   bool
	}{
		{"the first", 3, 1, false, 0, true},
		{"for another slot", 4, 1, false, 0, false},
		{"for another slot by the drawer", 4, 1, true, 0, true},
		{"for the first again", 3, 1, true, 0, false},
		{"another for the first", 3, 2, false, 0, true},
		{"that one for the second by the drawer, where the drawer's is", 4, 2, true, 0, false},
		{"a day later", 5, 1, false, day, true},
	} {
		if got := l.name(place{g, c.slot}, nominee{peer: idFor(c.peer), until: c.at + day, byTurn: c.byTurn}, c.at); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	for slot, want := range map[int]bool{3: false, 4: false, 5: true} {
		if _, named := l.at(place{g, slot}, day); named != want {
			t.Errorf("slot %d: %v", slot, named)
		}
	}
	if !l.has(g, idFor(1), day) || l.has(g, idFor(2), day) {
		t.Error("who is named is not known")
	}
}
