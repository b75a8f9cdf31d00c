package node

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
)

func TestFoundingAGroup(t *testing.T) {
	w := newWorld(t, 21, nil)
	o := w.newOwner()
	from := at(o.client.id, "")
	strangers := slices.Clone(o.members)
	strangers[ownSlot] = newIdentity(t, w.r)
	ids := make([]peer.ID, len(strangers))
	for i, m := range strangers {
		ids[i] = m.id
	}
	rec, table := o.founding()[0], o.founding()[1]
	grant := fact(protocol.FactGrant, o.newSegment(100).grant)
	other := w.newOwner()
	for _, c := range []struct {
		name  string
		facts []protocol.Fact
		code  protocol.Code
	}{
		{"table alone", []protocol.Fact{table}, protocol.CodeUnknown},
		{"record alone", []protocol.Fact{rec}, protocol.CodeUnknown},
		{"grant and record", []protocol.Fact{grant, rec}, protocol.CodeUnknown},
		{"record of another group", []protocol.Fact{other.founding()[0], table}, protocol.CodeMalformed},
		{"table of another owner", []protocol.Fact{rec, fact(protocol.FactTable, protocol.SignTable(other.key, network, o.id, profile, ids))}, protocol.CodeDenied},
		{"table of others", []protocol.Fact{rec, fact(protocol.FactTable, o.tableOf(ids))}, protocol.CodeWrongSlot},
	} {
		_, err := o.offer(from, c.facts...)
		wantCode(t, c.name, err, c.code)
		if u := w.store.Usage(); u.Groups != 0 {
			t.Fatalf("%s: something was stored", c.name)
		}
	}
	if n := w.node.groups.Len(); n != 0 {
		t.Errorf("%d groups that are not held stay in memory", n)
	}
	if codes, err := o.offer(from, grant, table, rec); err != nil || !slices.Equal(codes, []protocol.Code{0, 0, 0}) {
		t.Fatalf("all at once, in the worst order: %v, %v", codes, err)
	}
	ids[ownSlot], ids[0] = w.net.id, ""
	codes, err := o.offer(from, fact(protocol.FactTable, o.tableOf(ids)), rec, table)
	if err != nil || !slices.Equal(codes, []protocol.Code{protocol.CodeConflict, 0, 0}) {
		t.Fatalf("second table: %v, %v", codes, err)
	}
}

// universe makes facts of every kind, with races, replays and the superseded,
// but none that one node could have to refuse for good and another not.
func (o *owner) universe() []protocol.Fact {
	w := o.w
	facts := o.founding()
	for slot, m := range o.members {
		if slot == ownSlot {
			continue
		}
		for seq := range uint64(3) {
			facts = append(facts, fact(protocol.FactEnvelope, m.envelope(w.t, seq, "/ip4/10.0.0.9/tcp/1")))
		}
		facts = append(facts, fact(protocol.FactEnvelope, m.envelope(w.t, 2, "/ip4/10.0.0.8/tcp/1")))
	}
	for i := range 12 {
		s := randomBytes(w.r, 32)
		for n := range int64(1 + i%3) {
			facts = append(facts, fact(protocol.FactGrant, protocol.SignGrant(o.key, network, o.id, s, 100+n)))
		}
		if i%4 == 0 {
			facts = append(facts, o.deleteFact(s))
		}
	}
	for i := range 4 {
		p := o.newPointer()
		facts = append(facts, o.grantPointer(p))
		for seq := range int64(3) {
			facts = append(facts, o.write(p, seq))
		}
		for range 2 * truth.MaxHeads {
			facts = append(facts, o.write(p, 3))
		}
		if i == 3 {
			facts = append(facts, o.deleteFact(p.id[:]))
		}
	}
	for i := range 4 {
		at := epoch.Add(time.Duration(i) * time.Hour)
		facts = append(facts, fact(protocol.FactRenewal, protocol.SignRenewal(o.renew, network, o.id, at)))
	}
	return facts
}

// Facts come in any order, in any portions, again and again, with restarts and
// evictions between: every node ends with the same truth, and every node's
// store holds just that.
func TestFactsConverge(t *testing.T) {
	var want []protocol.Hash
	for round := range 12 {
		w := newWorld(t, 22, func(c *Config) {
			if round%2 == 1 {
				c.Limits.CacheBytes = 1
			}
		})
		o := w.newOwner()
		facts := o.universe()
		rng := rand.New(rand.NewPCG(uint64(round), 22))
		o.found()
		for range 3 { // what was refused for lack of another is offered again
			rng.Shuffle(len(facts), func(i, j int) { facts[i], facts[j] = facts[j], facts[i] })
			for portion := range slices.Chunk(facts, 1+rng.IntN(20)) {
				if _, err := o.offer(at(o.client.id, ""), portion...); err != nil {
					t.Fatal(err)
				}
			}
			if rng.IntN(2) == 0 {
				w.restart()
			}
		}
		got := w.factsHeld(o.id)
		if round == 0 {
			want = got
		}
		if !slices.Equal(got, want) {
			t.Fatalf("round %d: %d facts, in the first %d", round, len(got), len(want))
		}
		checkTruth(t, w, o, got)
	}
	// record, table, 5 envelopes, 9 live grants of 12 and 3 deletes, 3 pointers
	// with their grants and 4 heads each, 1 deleted pointer, 1 renewal
	if n := 1 + 1 + 5 + 9 + 3 + 3*5 + 1 + 1; len(want) != n {
		t.Fatalf("%d facts are the truth, want %d", len(want), n)
	}
}

// checkTruth compares what Have tells with what the store holds.
func checkTruth(t *testing.T, w *world, o *owner, stored []protocol.Hash) {
	t.Helper()
	all := make([]int, protocol.Buckets)
	for i := range all {
		all[i] = i
	}
	m, err := w.node.Have(t.Context(), at(o.members[1].id, ""), &protocol.HaveRequest{Group: o.id, Facts: all})
	if err != nil || m.FactsDone != len(all) {
		t.Fatalf("have: %d buckets, %v", m.FactsDone, err)
	}
	if !slices.Equal(m.Facts, stored) {
		t.Fatalf("have lists %d facts, the store has %d", len(m.Facts), len(stored))
	}
	for b := range protocol.Buckets {
		var list []byte
		for _, h := range stored {
			if int(h[0]) == b {
				list = append(list, h[:]...)
			}
		}
		var want protocol.Hash
		if len(list) > 0 {
			want = protocol.Sum(list)
		}
		if !bytes.Equal(m.FactDigests[32*b:32*b+32], want[:]) {
			t.Fatalf("digest of bucket %d", b)
		}
	}
}

func TestRefusedFacts(t *testing.T) {
	w := newWorld(t, 23, nil)
	o := w.newOwner().found()
	stranger := newIdentity(t, w.r)
	p, q := o.newPointer(), o.newPointer()
	o.must(o.grantPointer(q))
	o.must(o.deleteFact(q.id[:]))
	for _, c := range []struct {
		name string
		fact protocol.Fact
		code protocol.Code
	}{
		{"unknown kind", fact(200, []byte("x")), protocol.CodeVersion},
		{"this node's own note", fact(note.Origin, []byte("x")), protocol.CodeVersion},
		{"nonsense", fact(protocol.FactGrant, []byte("x")), protocol.CodeMalformed},
		{"envelope of a stranger", fact(protocol.FactEnvelope, stranger.envelope(t, 1, "/ip4/10.0.0.9/tcp/1")), protocol.CodeDenied},
		{"grant by the renew key", fact(protocol.FactGrant, protocol.SignGrant(o.renew, network, o.id, make([]byte, 32), 1)), protocol.CodeDenied},
		{"delete by the renew key", fact(protocol.FactDelete, protocol.SignDelete(o.renew, network, o.id, make([]byte, 32))), protocol.CodeDenied},
		{"renewal by the owner key", fact(protocol.FactRenewal, protocol.SignRenewal(o.key, network, o.id, epoch)), protocol.CodeDenied},
		{"renewal of next week", fact(protocol.FactRenewal, protocol.SignRenewal(o.renew, network, o.id, epoch.Add(7*24*time.Hour))), protocol.CodeUnavailable},
		{"renewal of tonight", fact(protocol.FactRenewal, protocol.SignRenewal(o.renew, network, o.id, epoch.Add(12*time.Hour))), 0},
		{"pointer without grant", o.write(p, 1), protocol.CodeDenied},
		{"pointer deleted", o.write(q, 1), protocol.CodeDeleted},
		{"grant after delete", o.grantPointer(q), protocol.CodeDeleted},
		{"grant of another network", fact(protocol.FactGrant, protocol.SignGrant(o.key, "other", o.id, make([]byte, 32), 1)), protocol.CodeNetwork},
	} {
		codes, err := o.offer(at(o.client.id, ""), c.fact)
		if err != nil || codes[0] != c.code {
			t.Errorf("%s: %v, %v; want %v", c.name, codes, err, c.code)
		}
	}
}

func TestEveryMessageCanBeReplayed(t *testing.T) {
	w := newWorld(t, 24, nil)
	o := w.newOwner().found()
	s, p := o.newSegment(4000), o.newPointer()
	facts := append(o.founding(), o.grantPointer(p), o.write(p, 1), o.deleteFact(make([]byte, 32)))
	var first int64
	for i := range 3 {
		wantCode(t, "form", o.form("", mb), 0)
		o.must(facts...)
		o.mustPut(s)
		if i == 0 {
			first = w.store.Usage().Used
		}
	}
	if used := w.store.Usage().Used; used != first {
		t.Errorf("%d bytes stored, after the first round %d", used, first)
	}
	if n := w.node.quota.Promised(); n > mb {
		t.Errorf("%d bytes are reserved", n)
	}
}

func TestFetch(t *testing.T) {
	w := newWorld(t, 25, nil)
	o := w.newOwner().found()
	p := o.newPointer()
	for _, m := range o.members[:3] {
		o.must(fact(protocol.FactEnvelope, m.envelope(t, 1, "/ip4/10.0.0.9/tcp/1")))
	}
	head := o.write(p, 5)
	o.must(o.grantPointer(p), o.write(p, 4), head)
	stranger := at(newIdentity(t, w.r).id, "")
	ask := func(from protocol.Remote, r protocol.FactsRequest) ([]protocol.Fact, error) {
		if r.Group == (protocol.GroupPrefix{}) {
			r.Group = o.id.Prefix()
		}
		reply, err := w.node.Facts(t.Context(), from, &r)
		if err != nil {
			return nil, err
		}
		return reply.Facts, reply.Validate()
	}
	got, err := ask(stranger, protocol.FactsRequest{Pointer: p.id[:]})
	if err != nil || len(got) != 2+1+3 {
		t.Fatalf("%d facts open the pointer: %v", len(got), err)
	}
	if got[0].Kind != protocol.FactRecord || got[1].Kind != protocol.FactTable || !bytes.Equal(got[2].Bytes, head.Bytes) {
		t.Fatal("record, table and head come first")
	}
	unknown := o.newPointer()
	_, err = ask(stranger, protocol.FactsRequest{Pointer: unknown.id[:]})
	wantCode(t, "unknown pointer", err, protocol.CodeNotFound)
	_, err = ask(stranger, protocol.FactsRequest{Group: protocol.GroupPrefix{1}, Pointer: p.id[:]})
	wantCode(t, "unknown group", err, protocol.CodeNotFound)

	want := []protocol.Hash{head.ID(), {1, 2, 3}, o.founding()[1].ID()}
	_, err = ask(stranger, protocol.FactsRequest{Want: want})
	wantCode(t, "stranger wants by name", err, protocol.CodeDenied)
	_, err = ask(stranger, protocol.FactsRequest{Want: want, Proof: protocol.SignList(o.key, network, o.id, o.client.id)})
	wantCode(t, "another's proof", err, protocol.CodeDenied)
	for name, from := range map[string]protocol.Remote{"member": at(o.members[0].id, ""), "owner": at(o.client.id, "")} {
		got, err = ask(from, protocol.FactsRequest{Want: want, Proof: protocol.SignList(o.key, network, o.id, o.client.id)})
		if err != nil || len(got) != 2 {
			t.Errorf("%s: %d facts, %v", name, len(got), err)
		}
	}
	del := o.deleteFact(p.id[:])
	o.must(del)
	got, err = ask(stranger, protocol.FactsRequest{Pointer: p.id[:]})
	if err != nil || len(got) != 3 || got[0].Kind != protocol.FactRecord || got[1].Kind != protocol.FactTable || got[2].ID() != del.ID() {
		t.Errorf("a deleted pointer gives %d facts, %v: not record, table and delete", len(got), err)
	}
}
