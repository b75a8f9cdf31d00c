package node

import (
	"fmt"
	"slices"
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

// Peers that audit from one address, or for a few groups only, do not keep others from
// auditing, however many they are.
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

// Whose challenge had to give way asks again: the holder was short of room, which is
// no sign that it has not got the shards.
func TestWhoGaveWayIsAskedAgain(t *testing.T) {
	const addr = "/ip4/66.6.6.6/tcp/1"
	w := newWorld(t, 915, nil)
	o := w.newOwner().found()
	s := o.newSegment(100)
	o.mustPut(s)
	auditor := o.members[(ownSlot+1)%len(o.members)].id
	secret := protocol.Half(randomBytes(w.r, 32))
	audit := func(g *owner, id peer.ID, c protocol.Hash, seg protocol.SegmentID) error {
		_, err := w.node.Audit(t.Context(), at(id, addr), &protocol.AuditRequest{Group: g.id, Commit: c, Shards: []protocol.ShardRef{{Segment: seg, Slot: ownSlot}}})
		return err
	}
	if err := audit(o, auditor, secret.Commit(), s.id); err != nil {
		t.Fatal(err)
	}
	for range 9 {
		g := w.stranger(widest, w.identities(widest.N))
		for _, m := range g.members {
			_ = audit(g, m.id, protocol.Hash{}, protocol.SegmentID{})
		}
	}
	_, _, _, err := w.node.Reveal(t.Context(), at(auditor, addr), &protocol.RevealRequest{Secret: secret})
	wantCode(t, "a challenge that had to give way", err, protocol.CodeUnavailable)
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

// A candidate is named for one slot of a group; where it was not the drawer that named
// it, a drawer may name it for another.
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

// A member that names for its own slot, whose turn it is to draw for, the candidate
// that another drew does not keep the other from naming it; it can so name it for one
// slot only.
func TestNomineeOfTwoDrawers(t *testing.T) {
	l, g := newNominees(), protocol.GroupID{1}
	const day = 24 * time.Hour
	for _, c := range []struct {
		what string
		slot int
		by   int
		turn bool
		want bool
	}{
		{"a liar's, for its slot", 3, 1, true, true},
		{"the liar's, for one more", 4, 1, true, false},
		{"the real drawer's", 5, 2, true, true},
		{"again", 5, 2, true, true},
		{"the real drawer's, for one more", 6, 2, true, false},
		{"a third's, out of turn", 7, 3, false, false},
	} {
		if got := l.name(place{g, c.slot}, nominee{peer: idFor(9), until: day, byTurn: c.turn, by: idFor(c.by)}, 0); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
	for slot := range 8 {
		if _, named := l.at(place{g, slot}, 0); named != (slot == 3 || slot == 5) {
			t.Errorf("slot %d: %v", slot, named)
		}
	}
}

// Loans of a stranger's groups, and what their members ask for, leave room for
// others', and what others had is not forgotten for them.
func TestLoansAreShared(t *testing.T) {
	for name, addr := range map[string]func(g, i int) crowd{
		"one address":    func(int, int) crowd { return crowdBy(at(idFor(1), "/ip4/66.6.6.6/tcp/1")) },
		"many addresses": func(g, i int) crowd { return crowd{peer: idFor(g*widest.N + i)} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLoans(DefaultTiming())
			flood := func(many byte) {
				for g := range 2 {
					id := protocol.GroupID{many, byte(g)}
					for i := range maxLoans {
						v := loan{borrower{idFor(i % 100), id}, protocol.SegmentID{byte(i), byte(i >> 8), byte(i >> 16)}, i%2 == 0}
						_ = l.take(v, i%2 == 0, 1000, 0, crowd{group: id}, addr(g, i%100))
					}
				}
			}
			v := func(i int) loan {
				return loan{borrower: borrower{idFor(5000 + i), protocol.GroupID{9, byte(i)}}, segment: protocol.SegmentID{1}}
			}
			take := func(i int) error {
				return l.take(v(i), false, 0, time.Minute, crowd{group: v(i).group}, crowd{peer: v(i).peer})
			}
			flood(1)
			if n := l.t.Len(); n != maxLoans {
				t.Fatalf("%d loans", n)
			}
			for i := range 30 {
				wantCode(t, "an honest member's", take(i), 0)
			}
			flood(2)
			for i := range 30 {
				wantCode(t, "the reply was lost", take(i), 0)
				wantCode(t, "twice", take(i), protocol.CodeCapped)
			}
			counted := 0
			for _, h := range l.had {
				counted += h.asked + h.mended + h.late
			}
			for v := range l.t.All() {
				if v.mending {
					counted--
				}
			}
			if counted != 0 {
				t.Errorf("%d loans too many are counted", counted)
			}
		})
	}
}

// A member may ask for only a few times as many shards as it may have; what it did not
// come for it may ask for again. It confesses all that it asks for.
func TestAsksAreBounded(t *testing.T) {
	w := newWorld(t, 916, nil)
	p := protocol.Profile{K: 2, R: 4, N: 6}
	o := w.stranger(p, w.identities(p.N))
	var segs []protocol.SegmentID
	for range 2 * leastLent * asksALoan {
		s := o.newSegment(64)
		o.mustPut(s)
		segs = append(segs, s.id)
	}
	m := o.members[0].id
	slices.SortFunc(segs, protocol.CompareIDs)
	ask := func() (noted int) {
		for _, s := range segs {
			_, _, _, err := w.node.Mend(t.Context(), at(m, "/ip4/66.6.6.6/tcp/1"), &protocol.MendRequest{Group: o.id, Segment: s, Slot: protocol.AnySlot, Purpose: protocol.PurposeMending})
			switch protocol.CodeOf(err) {
			case protocol.CodeUnavailable:
				noted++
			case protocol.CodeCapped:
			default:
				t.Fatal(err)
			}
		}
		return noted
	}
	lacked := func() (n int) {
		v := w.node.neighbours.Roll(o.id)
		for _, s := range segs {
			if set := v.Lacking(s); set.Has(v.Table.Find(m)) {
				n++
			}
		}
		return n
	}
	const most = leastLent * asksALoan
	if n := ask(); n != most || lacked() != len(segs) || w.node.loans.t.Len() != most {
		t.Errorf("of %d segments %d are noted and %d confessed, want %d and all", len(segs), n, lacked(), most)
	}
	slices.Reverse(segs)
	w.clock.step(askedTill * w.node.cfg.Timing.ConfessFirst)
	if n := ask(); n != most || w.node.loans.t.Len() != most {
		t.Errorf("a while later %d of %d are noted, want %d", n, len(segs), most)
	}
}

// What a member confessed counts as long as it asks for it, also where it is lent no
// more this month, and so does damage that it finds only then.
func TestConfessionsLastWhileAskedFor(t *testing.T) {
	w := newWorld(t, 917, nil)
	o := w.newOwner().found()
	m := o.members[(ownSlot+1)%len(o.members)].id
	var segs []protocol.SegmentID
	for range leastLent + 4 {
		s := o.newSegment(64)
		o.mustPut(s)
		segs = append(segs, s.id)
	}
	lent := make(map[protocol.SegmentID]bool)
	ask := func() {
		for _, s := range segs {
			if lent[s] {
				continue
			}
			_, _, free, err := w.node.Mend(t.Context(), at(m, "/ip4/66.6.6.6/tcp/1"), &protocol.MendRequest{Group: o.id, Segment: s, Slot: protocol.AnySlot, Purpose: protocol.PurposeMending})
			if lent[s] = err == nil; lent[s] {
				free()
			}
		}
	}
	ask()
	w.clock.step(w.node.cfg.Timing.ConfessFirst)
	for range 20 {
		ask()
		w.clock.step(day)
	}
	lacking := func() (n int) {
		v := w.node.neighbours.Roll(o.id)
		for _, s := range segs {
			if set := v.Lacking(s); set.Has(v.Table.Find(m)) {
				n++
			}
		}
		return n
	}
	if n := lacking(); n != len(segs)-leastLent {
		t.Errorf("of %d segments %d count as lacking, want %d", len(segs), n, len(segs)-leastLent)
	}
	for range 3 {
		s := o.newSegment(64)
		o.mustPut(s)
		segs = append(segs, s.id)
	}
	ask()
	if n := lacking(); n != len(segs)-leastLent {
		t.Errorf("with new damage, of %d segments %d count as lacking, want %d", len(segs), n, len(segs)-leastLent)
	}
}
