package node

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// another returns a group of another owner, in which the node holds a slot of that
// owner's choice.
func (w *world) another(slot int) *owner {
	o := w.newOwner()
	holders := make([]peer.ID, profile.N)
	for i := range holders {
		holders[i] = newIdentity(w.t, w.r).id
	}
	holders[slot] = w.net.id
	o.table = o.tableOf(holders)
	return o.found()
}

// steal puts a slot's shard of another owner's segment under a grant of o's own:
// anybody who has a link can make every shard and knows the descriptor.
func (o *owner) steal(s *segment, slot int) {
	o.w.t.Helper()
	grant := protocol.SignGrant(o.key, network, o.id, s.id[:], s.desc.Footprint())
	r := &protocol.PutRequest{Record: o.record, Slot: slot, Descriptor: s.bytes, Grant: grant, Length: s.desc.ShardSize}
	if _, err := o.w.node.Put(o.w.t.Context(), at(o.client.id, ""), r, bytes.NewReader(s.shards[slot])); err != nil {
		o.w.t.Fatal(err)
	}
}

// getSlot asks for the shard of one slot, as readers do.
func (o *owner) getSlot(s *segment, slot int) error {
	r := &protocol.GetRequest{Segment: s.id, Slot: slot, Proof: o.proof(s, o.client.id)}
	_, _, release, err := o.w.node.Get(o.w.t.Context(), at(o.client.id, ""), r)
	if err == nil {
		release()
	}
	return err
}

// A reader of a link who puts the same segment into a group of its own, and
// deletes it there, must take nothing from its first owner.
func TestForeignDelete(t *testing.T) {
	for _, slot := range []int{0, ownSlot + 1} {
		w := newWorld(t, 71, nil)
		o := w.newOwner().found()
		s := o.newSegment(100_000)
		o.mustPut(s)
		thief := w.another(slot)
		thief.steal(s, slot)
		thief.must(thief.deleteFact(s.id[:]))

		wantCode(t, "get of what is live", o.getSlot(s, ownSlot), 0)
		wantCode(t, "get of what is deleted", o.getSlot(s, slot), protocol.CodeDeleted)
		_, err := w.node.Members(t.Context(), at(o.client.id, ""), &protocol.MembersRequest{Group: o.id, Segment: s.id, Proof: o.proof(s, o.client.id)})
		wantCode(t, "members", err, 0)

		w.restart()
		wantCode(t, "get after a restart", o.getSlot(s, ownSlot), 0)
		w.clock.step(DefaultTiming().DeleteDelay)
		if err := w.node.upkeepOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "get after the freeing", o.getSlot(s, ownSlot), 0)
		wantCode(t, "get of what was freed", o.getSlot(s, slot), protocol.CodeNotFound)

		o.must(o.deleteFact(s.id[:]))
		w.clock.step(DefaultTiming().DeleteDelay)
		if err := w.node.upkeepOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCode(t, "get after its owner deleted it", o.getSlot(s, ownSlot), protocol.CodeNotFound)
	}
}

// What another group holds of the same segment must not stand in the way of
// freeing one's own.
func TestForeignShard(t *testing.T) {
	w := newWorld(t, 72, nil)
	o := w.newOwner().found()
	s := o.newSegment(100_000)
	o.mustPut(s)
	thief := w.another(0) // found first
	thief.steal(s, 0)
	_, err := w.node.Members(t.Context(), at(o.client.id, ""), &protocol.MembersRequest{Group: o.id, Segment: s.id, Proof: o.proof(s, o.client.id)})
	wantCode(t, "members", err, 0)
	o.must(o.deleteFact(s.id[:]))
	wantCode(t, "get of what is deleted", o.getSlot(s, ownSlot), protocol.CodeDeleted)
	wantCode(t, "get of another group's", o.getSlot(s, 0), 0)
	w.clock.step(DefaultTiming().DeleteDelay)
	if err := w.node.upkeepOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "get of what was freed", o.getSlot(s, ownSlot), protocol.CodeNotFound)
}

// What the disk damaged is not served, and the owner who brings it again is
// not told that it is held: it is mended.
func TestDamagedShardIsMended(t *testing.T) {
	for name, length := range map[string]int64{"whole": 0, "slice": 20_000} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			disk, err := storage.Open(storage.Config{Dir: dir, Owner: "test", Reserve: -1})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = disk.Close() })
			w := newWorld(t, 73, func(c *Config) { c.Store.(*faultyStore).Store = disk })
			o := w.newOwner().found()
			s := o.newSegment(200_000)
			o.mustPut(s)
			o.mustPut(s) // as yet it is well
			damage(t, dir, s.shards[ownSlot][30_000:40_000])
			_, err = o.get(s, 0, length)
			wantCode(t, "get after the end of the damage", err, map[bool]protocol.Code{true: protocol.CodeCorrupt}[length == 0])
			_, err = o.get(s, 30_000*min(length, 1), length)
			wantCode(t, "get", err, protocol.CodeCorrupt)
			o.mustPut(s)
			got, err := o.get(s, 0, 0)
			if err != nil || !bytes.Equal(got, s.shards[ownSlot]) {
				t.Fatalf("after another put: %d bytes, %v", len(got), err)
			}
			if used := w.store.Usage().Shards; used != 1 {
				t.Errorf("%d shards", used)
			}
		})
	}
}

// damage flips a bit amid some bytes that lie in one of a store's logs.
func damage(t *testing.T, dir string, where []byte) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "logs", "*.log"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range logs {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		i := bytes.Index(b, where)
		if i < 0 {
			continue
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte{^where[len(where)/2]}, int64(i+len(where)/2)); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the bytes are in no log")
}

// Facts that take each other's place, small and large ones in turn, must not
// win their owner room that it does not have.
func TestReplacedFactsAreChargedAsTheyAre(t *testing.T) {
	w := newWorld(t, 74, nil)
	o := w.newOwner()
	from := at(o.client.id, "/ip4/9.9.9.9/tcp/1")
	offer := func(facts ...protocol.Fact) {
		t.Helper()
		codes, err := o.offer(from, facts...)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range codes {
			if c != 0 {
				t.Fatalf("fact of kind %d: %v", facts[i].Kind, c)
			}
		}
	}
	p := o.newPointer()
	offer(append(o.founding(), o.grantPointer(p))...)
	tombstone := func(seq int64) protocol.Fact {
		return fact(protocol.FactPointer, protocol.SignPointer(p.key, network, seq, [32]byte(randomBytes(w.r, 32)), nil, time.Time{}))
	}
	for seq := int64(1); seq < 60; seq += 2 {
		for range truth.MaxHeads {
			offer(tombstone(seq))
		}
		offer(o.write(p, seq+1))
	}
	if seq := int64(61); true {
		offer(tombstone(seq))
		if codes, err := o.offer(from, o.deleteFact(p.id[:])); err != nil || codes[0] != 0 {
			t.Fatal(codes, err)
		}
	}
	charged := w.node.quota.Used(o.id)
	w.restart()
	if kept := w.node.quota.Used(o.id); charged < kept-1000 || charged > kept+1000 {
		t.Errorf("%d bytes are charged, %d are kept", charged, kept)
	}
}

// idleStore tells that it cannot store.
type idleStore struct {
	storage.Store
	err error
}

func (s *idleStore) Usage() storage.Usage {
	u := s.Store.Usage()
	u.Err = s.err
	return u
}

func TestMissingDiskIsNotFull(t *testing.T) {
	idle := new(idleStore)
	w := newWorld(t, 75, func(c *Config) { idle.Store, c.Store = c.Store, idle })
	o := w.newOwner().found()
	for err, code := range map[error]protocol.Code{
		storage.ErrSuspended: protocol.CodeSuspended, storage.ErrFailed: protocol.CodeUnavailable, nil: 0,
	} {
		idle.err = err
		wantCode(t, "put", o.put(at(o.client.id, ""), o.newSegment(1000)), code)
		_, err := o.offer(at(o.client.id, ""), o.grantPointer(o.newPointer()))
		wantCode(t, "offer", err, code)
	}
}
