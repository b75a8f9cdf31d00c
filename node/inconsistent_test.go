package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"
)

// An owner who lied: each shard fits its root, and one of them is not what the code
// makes. Each member that has the turn finds that out once, with one fetch of k
// shards, and never tries again; the other slot is filled all the same.
func TestInconsistentDescriptor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const day = 24 * time.Hour
		h := newHamlet(t, profile, 0, 0, inMemory)
		defer h.close()
		seg := h.lyingSegment(5)
		grant := storage.Fact{Group: h.id, Kind: uint8(protocol.FactGrant), Bytes: seg.grant}
		for i, m := range h.all {
			m.kill()
			if err := m.store.PutFact(t.Context(), grant); err != nil {
				t.Fatal(err)
			}
			h.fill(m, i, seg)
			m.start()
			m.work()
		}
		time.Sleep(day) // all have proved what they hold: no audit finds a lie in it
		for _, m := range h.all {
			if n := m.node.neighbours.Roll(h.id).View.Unaudited.Count(); n > 0 {
				t.Errorf("%d co-members could not prove their shards", n)
			}
		}
		h.all[4].end()
		h.all[5].end()
		time.Sleep(10 * day)
		good, bad := h.candidateFor(4), h.candidateFor(5)
		living := h.all[:4]
		for range 60 * 8 { // two months, eight times a day
			for _, m := range living {
				if err := m.node.repairOnce(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			time.Sleep(3 * time.Hour)
		}
		verdicts := 0
		for i, m := range living {
			c := &m.node.count
			if most := int64(profile.K-1) * seg.desc.ShardSize; c.borrowed.Load() > most {
				t.Errorf("member %d fetched %d bytes for one segment, not %d at most", i, c.borrowed.Load(), most)
			}
			if m.node.verdicts.has(kin{h.id, seg.id}) {
				verdicts++
			}
		}
		if verdicts != len(living) {
			t.Errorf("%d of %d members know by themselves that the descriptor is false", verdicts, len(living))
		}
		for _, v := range []struct {
			m    *villager
			slot int
			want bool
		}{{good, 4, true}, {bad, 5, false}} {
			_, err := v.m.store.Find(t.Context(), seg.id)
			if (err == nil) != v.want {
				t.Errorf("slot %d: %v", v.slot, err)
			}
		}
	})
}

// The holder of the false shard finds out when it mends it, once.
func TestInconsistentDescriptorIsNotMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHamlet(t, profile, 0, 0, inMemory)
		defer h.close()
		seg := h.lyingSegment(5)
		for i, m := range h.all {
			h.fill(m, i, seg)
		}
		m := h.all[5]
		time.Sleep(time.Hour)
		m.node.shardDamaged(t.Context(), h.id, storage.ShardKey{Segment: seg.id, Slot: 5}, storage.ErrCorrupt)
		time.Sleep(60 * 24 * time.Hour)
		if !m.node.verdicts.has(kin{h.id, seg.id}) {
			t.Error("it was not found out")
		}
		m.end()
		m.start()
		if !m.node.verdicts.has(kin{h.id, seg.id}) {
			t.Error("a restart forgets it")
		}
		if most := int64(profile.K) * seg.desc.ShardSize; m.node.mending.spent > most {
			t.Errorf("%d bytes were fetched, not %d at most", m.node.mending.spent, most)
		}
	})
}

// lyingSegment makes a segment whose shard of one slot is noise, and fits its
// root.
func (h *hamlet) lyingSegment(slot int) *segment {
	s := h.code(randomBytes(seeded(h.t, 73), 5000))
	s.shards[slot] = randomBytes(seeded(h.t, 74), int(s.desc.ShardSize))
	_, s.desc.Roots[slot] = protocol.Outboard(s.shards[slot])
	s.bytes, s.id = s.desc.Encode()
	s.grant = protocol.SignGrant(h.key, network, h.id, s.id[:], s.desc.Footprint())
	return s
}

// candidateFor adds a node that was nominated for a slot, as all members heard.
func (h *hamlet) candidateFor(slot int) *villager {
	h.t.Helper()
	m := &villager{v: &h.village, store: inMemory(0), peer: h.net.Peer(memnet.PeerConfig{Server: true})}
	m.cfg = Config{Network: network, Net: m.peer, Store: m.store, Donated: 1 << 30, Now: m.now, Mono: monotonic()}
	m.start()
	first := h.all[0]
	f, err := first.node.factsOf(h.t.Context(), h.id)
	if err != nil {
		h.t.Fatal(err)
	}
	r := &protocol.NominateRequest{Group: h.id, Slot: slot, Record: f.record, Table: f.table, Bytes: f.bytes}
	reply, err := m.node.Nominate(h.t.Context(), protocol.Remote{Peer: first.peer.Self()}, r)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, o := range h.all[:4] {
		o.peer.Learn(m.peer.AddrInfo())
		now := o.node.neighbours.Now()
		o.node.nominees.name(place{h.id, slot}, nominee{peer: m.peer.Self(), envelope: reply.Envelope, until: now + 365*24*time.Hour, byTurn: true}, now)
	}
	h.t.Cleanup(m.kill)
	return m
}
