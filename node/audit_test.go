package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/memnet"
	"github.com/cairnstore/cairn/storage"
	"github.com/cairnstore/cairn/storage/erasure"
)

// hamlet is the members of one group, whose stores hold its segments from the
// start. They keep in touch, audit and mend.
type hamlet struct {
	village
	profile  protocol.Profile
	key      ed25519.PrivateKey
	id       protocol.GroupID
	segments []*segment
}

func newHamlet(t *testing.T, p protocol.Profile, segments int, size int64, store func(i int) storage.Store) *hamlet {
	h := &hamlet{profile: p, village: village{t: t, net: memnet.New(memnet.Config{Seed: 70, Latency: 10 * time.Millisecond})}}
	r := seeded(t, 71)
	h.key = newKey(r)
	pub := protocol.PublicKeyOf(h.key)
	record, id := protocol.NewGroupRecord(network, pub, pub, protocol.Hash{}, protocol.Nonce{}).Encode()
	h.id = id
	h.group = &townOwner{id: id}
	holders := make([]peer.ID, p.N)
	for i := range p.N {
		m := &villager{v: &h.village, store: store(i), peer: h.net.Peer(memnet.PeerConfig{Server: true})}
		holders[i] = m.peer.Self()
		m.cfg = Config{Network: network, Net: m.peer, Store: m.store, Donated: 1 << 30, Now: m.now, Mono: monotonic()}
		h.all = append(h.all, m)
	}
	for range segments {
		h.segments = append(h.segments, h.code(randomBytes(r, int(size))))
	}
	facts := []storage.Fact{
		{Group: id, Kind: uint8(protocol.FactRecord), Bytes: record},
		{Group: id, Kind: uint8(protocol.FactTable), Bytes: protocol.SignTable(h.key, network, id, p, holders)},
	}
	for _, s := range h.segments {
		facts = append(facts, storage.Fact{Group: id, Kind: uint8(protocol.FactGrant), Bytes: s.grant})
	}
	for i, m := range h.all {
		for _, o := range h.all {
			m.peer.Learn(o.peer.AddrInfo())
		}
		if err := m.store.PutFact(t.Context(), facts...); err != nil {
			t.Fatal(err)
		}
		for _, s := range h.segments {
			h.fill(m, i, s)
		}
		m.start()
		m.work()
	}
	return h
}

// code makes a segment that any k of its shards give back.
func (h *hamlet) code(sealed []byte) *segment {
	h.t.Helper()
	p := h.profile
	d := &protocol.Descriptor{
		V: protocol.Version, K: p.K, N: p.N, Size: int64(len(sealed)), ShardSize: protocol.ShardSize(int64(len(sealed)), p.K),
		ReadKey: protocol.PublicKeyOf(h.key),
	}
	s := &segment{desc: d}
	all := make([]byte, d.ShardSize*int64(p.N))
	copy(all, sealed)
	for i := range p.N {
		s.shards = append(s.shards, all[int64(i)*d.ShardSize:int64(i+1)*d.ShardSize])
	}
	c, err := erasure.New(p.K, p.N)
	if err == nil {
		err = c.Encode(s.shards)
	}
	if err != nil {
		h.t.Fatal(err)
	}
	for _, b := range s.shards {
		_, root := protocol.Outboard(b)
		d.Roots = append(d.Roots, root)
	}
	s.bytes, s.id = d.Encode()
	s.grant = protocol.SignGrant(h.key, network, h.id, s.id[:], d.Footprint())
	return s
}

func (h *hamlet) fill(m *villager, slot int, s *segment) {
	h.t.Helper()
	outboard, _ := protocol.Outboard(s.shards[slot])
	err := m.store.PutShard(h.t.Context(), &storage.Shard{
		Key: storage.ShardKey{Segment: s.id, Slot: uint8(slot)}, Group: h.id, Descriptor: s.bytes, Data: s.shards[slot], Outboard: outboard,
	})
	if err != nil {
		h.t.Fatal(err)
	}
}

// work begins to audit and to mend, until the node is stopped.
func (m *villager) work() {
	n := m.node
	ctx, stop := context.WithCancel(m.v.t.Context())
	before := m.stop
	m.stop = func() { before(); stop() }
	m.loops.Go(func() { n.auditLoop(ctx) })
	m.loops.Go(func() { n.mendLoop(ctx) })
}

func inMemory(int) storage.Store { return storage.NewMemory(storage.Config{}) }

// outcomes adds up the outcomes of all audits.
func (h *hamlet) outcomes() (out map[audit.Outcome]int64) {
	out = make(map[audit.Outcome]int64)
	for _, m := range h.all {
		for o := range m.node.count.audits {
			if n := m.node.count.audits[o].Load(); n > 0 {
				out[audit.Outcome(o)] += n
			}
		}
	}
	return out
}

// In two cycles each shard is audited at least once, each neighbour daily, and
// all audits succeed.
func TestAuditsOfACycle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHamlet(t, profile, 50, 1000, inMemory)
		time.Sleep(2 * time.Hour)
		for _, m := range h.all {
			if n := m.node.neighbours.Roll(h.id).View.Unaudited.Count(); n > 0 {
				t.Errorf("%d co-members are not audited at first", n)
			}
		}
		begun := h.outcomes()[audit.OK]
		time.Sleep(30 * 24 * time.Hour)
		got := h.outcomes()
		ok := got[audit.OK] - begun
		byLot, samples := int64(50*6), int64(30*6*5)*10/11
		if len(got) != 1 || ok < (byLot+samples)*9/10 || ok > (byLot+samples)*12/10 {
			t.Errorf("in a cycle: %v, %d of them after the first; %d by lot and %d samples were due", got, ok, byLot, samples)
		}
		for _, m := range h.all {
			if n := m.node.neighbours.Roll(h.id).View.Unaudited.Count(); n != 0 {
				t.Errorf("%d seats count as unaudited", n)
			}
		}
		h.all[0].end()
		h.all[0].start()
		if n := h.all[0].node.neighbours.Roll(h.id).View.Unaudited.Count(); n != 0 {
			t.Errorf("%d seats count as unaudited after a restart", n)
		}
		h.close()
	})
}

// Rot that no read has met is found by an audit, and mended before the cycle
// ends; so is a shard that is missing altogether.
func TestRotIsMended(t *testing.T) {
	for name, harm := range map[string]func(t *testing.T, dir string, m *villager, s *segment){
		"rotten": func(t *testing.T, dir string, _ *villager, s *segment) { flip(t, dir, s.shards[0]) },
		"lost": func(t *testing.T, _ string, m *villager, s *segment) {
			if err := m.store.DeleteShard(t.Context(), storage.ShardKey{Segment: s.id}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { mendOne(t, harm) })
		})
	}
}

func mendOne(t *testing.T, harm func(*testing.T, string, *villager, *segment)) {
	dir := t.TempDir()
	h := newHamlet(t, profile, 40, 20_000, func(i int) storage.Store {
		if i > 0 {
			return storage.NewMemory(storage.Config{})
		}
		d, err := storage.Open(storage.Config{Dir: dir, Owner: "test", Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		return d
	})
	one, s := h.all[0], h.segments[3]
	_, release, err := one.node.groups.Open(t.Context(), h.id) // it believes that it has it
	if err != nil {
		t.Fatal(err)
	}
	harm(t, dir, one, s)
	for day := 0; day < 30 && one.node.count.mended.Load() == 0; day++ {
		time.Sleep(24 * time.Hour)
	}
	time.Sleep(48 * time.Hour)
	release()
	if err := one.store.Verify(t.Context(), storage.ShardKey{Segment: s.id}); err != nil {
		t.Error(err)
	}
	got := h.outcomes()
	bad := got[audit.Corrupt] + got[audit.Missing]
	if one.node.count.mended.Load() != 1 || bad < 1 || bad > 4 || len(one.node.scrub.damages()) != 0 {
		t.Errorf("%d mended, audits: %v", one.node.count.mended.Load(), got)
	}
	lent := int64(0)
	for _, m := range h.all[1:] {
		lent += m.node.count.lent.Load()
		if s := m.sees(one); !s.Member {
			t.Error("it lost its slot for it")
		}
	}
	if lent != int64(profile.K) {
		t.Errorf("%d shards were lent", lent)
	}
	h.close()
}

// An audit of any chunk shows rot anywhere in its leaf, and none elsewhere.
func TestRotBesideTheChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d, err := storage.Open(storage.Config{Dir: dir, Owner: "test", Reserve: -1})
		if err != nil {
			t.Fatal(err)
		}
		h := newHamlet(t, profile, 1, int64(profile.K)*40_000, func(i int) storage.Store {
			if i > 0 {
				return storage.NewMemory(storage.Config{})
			}
			return d
		})
		one, s := h.all[0], h.segments[0]
		flip(t, dir, s.shards[0])
		rotten := s.desc.ShardSize / 2 / protocol.ChunkSize
		const perLeaf = protocol.LeafSize / protocol.ChunkSize
		proves := func(chunk int64) error {
			c, ref := protocol.Challenge{}, protocol.ShardRef{Segment: s.id}
			for i := uint32(0); c.Chunk(ref, s.desc.ShardSize) != chunk; i++ {
				binary.BigEndian.PutUint32(c.Nonce[:], i)
			}
			slice, err := one.node.prove(t.Context(), h.id, ref, c)
			if err == nil {
				err = c.Check(ref, s.desc, slice)
			}
			return err
		}
		for chunk := range protocol.Chunks(s.desc.ShardSize) {
			if chunk/perLeaf == rotten/perLeaf {
				continue
			}
			if err := proves(chunk); err != nil {
				t.Errorf("chunk %d of a sound leaf: %v", chunk, err)
			}
		}
		wantCode(t, "a sound chunk of the rotten leaf", proves(rotten-1), protocol.CodeCorrupt)
		if len(one.node.scrub.damages()) != 1 {
			t.Error("the rot was not taken down")
		}
		h.close()
		_ = d.Close()
	})
}

// Co-members lend little. While nothing can be kept, as on a disk that is
// missing, a node borrows nothing.
func TestNothingIsBorrowedForAMissingDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk := &folder{Store: storage.NewMemory(storage.Config{})}
		h := newHamlet(t, profile, 5, 20_000, func(i int) storage.Store {
			if i > 0 {
				return storage.NewMemory(storage.Config{})
			}
			return disk
		})
		lent := func() (n int64) {
			for _, m := range h.all[1:] {
				n += m.node.count.lent.Load()
			}
			return n
		}
		one := h.all[0]
		disk.away.Store(true)
		one.node.shardDamaged(t.Context(), h.id, storage.ShardKey{Segment: h.segments[2].id}, storage.ErrCorrupt)
		time.Sleep(12 * time.Hour)
		if n := lent(); n != 0 {
			t.Errorf("%d shards were lent to a node without a disk", n)
		}
		disk.away.Store(false)
		time.Sleep(12 * time.Hour)
		if n := one.node.count.mended.Load(); n != 1 || lent() != int64(profile.K) {
			t.Errorf("when the disk was back %d shards were mended, %d lent", n, lent())
		}
		h.close()
	})
}

// flip flips a bit of some bytes in a store's log.
func flip(t *testing.T, dir string, b []byte) {
	t.Helper()
	name := filepath.Join(dir, "logs", "0000000001.log")
	log, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(log, b)
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if at < 0 || err != nil {
		t.Fatal(at, err)
	}
	if _, err = f.WriteAt([]byte{b[len(b)/2] ^ 4}, int64(at+len(b)/2)); err == nil {
		err = f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// cheater answers for a node that has thrown its shards away and kept the trees of
// hashes over them, down to single chunks. Asked to prove a shard, it asks its
// co-members for what it needs, in every way that there is.
type cheater struct {
	protocol.Handler
	h         *hamlet
	slot      int
	caller    *protocol.Caller
	oneSided  bool // it knows the holders' halves beforehand
	forgedKey ed25519.PrivateKey

	mu     sync.Mutex
	asked  map[peer.ID]*protocol.AuditRequest
	chunks [3]int // rebuilt by audits, by mending, by repair
	reads  int
}

func (c *cheater) Audit(_ context.Context, from protocol.Remote, r *protocol.AuditRequest) (*protocol.AuditReply, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked[from.Peer] = r
	return &protocol.AuditReply{Nonce: make([]byte, 32)}, nil
}

func (c *cheater) Reveal(ctx context.Context, from protocol.Remote, r *protocol.RevealRequest) (*protocol.RevealReply, []byte, func(), error) {
	c.mu.Lock()
	q := c.asked[from.Peer]
	c.mu.Unlock()
	reply := new(protocol.RevealReply)
	var raw []byte
	for _, ref := range q.Shards {
		slice := c.forge(ctx, from.Peer, ref, protocol.Challenge{Secret: r.Secret})
		if slice == nil {
			reply.Results, reply.Lengths = append(reply.Results, protocol.CodeUnavailable), append(reply.Lengths, 0)
			continue
		}
		reply.Results, reply.Lengths = append(reply.Results, 0), append(reply.Lengths, len(slice))
		raw = append(raw, slice...)
	}
	return reply, raw, nil, nil
}

// forge rebuilds the challenged chunk of its own shard from k others' and cuts
// the slice by the tree that it kept.
func (c *cheater) forge(ctx context.Context, auditor peer.ID, ref protocol.ShardRef, ch protocol.Challenge) []byte {
	var s *segment
	for _, v := range c.h.segments {
		if v.id == ref.Segment {
			s = v
		}
	}
	d := s.desc
	at := ch.Chunk(ref, d.ShardSize)
	off, length := protocol.ChunkRange(at, d.ShardSize)
	for way, chunk := range []func(context.Context, *villager, *segment, int, int64, int64) []byte{c.byAudit, c.byMending, c.byRepair} {
		got := make([][]byte, d.N)
		n := 0
		for i, m := range c.h.all {
			if i == c.slot || m.peer.Self() == auditor || n == d.K {
				continue
			}
			c.byGet(ctx, m, s, i, off, length)
			if b := chunk(ctx, m, s, i, off, length); b != nil {
				got[i], n = b, n+1
			}
		}
		if n < d.K {
			continue
		}
		want := make([]bool, d.N)
		want[c.slot] = true
		code, err := erasure.New(d.K, d.N)
		if err == nil {
			err = code.Reconstruct(got, want)
		}
		if err != nil {
			continue
		}
		// The tree, not the bytes: the hashes of a leaf's other chunks.
		outboard, root := protocol.Outboard(s.shards[c.slot])
		lo, size := protocol.AlignRange(off, length, d.ShardSize)
		leaf := bytes.Clone(s.shards[c.slot][lo : lo+size])
		copy(leaf[off-lo:], got[c.slot])
		if slice, err := protocol.ChunkSlice(leaf, outboard, at, d.ShardSize, root); err == nil {
			c.mu.Lock()
			c.chunks[way]++
			c.mu.Unlock()
			return slice
		}
	}
	return nil
}

// byGet reads the chunk, for which it has no proof.
func (c *cheater) byGet(ctx context.Context, m *villager, s *segment, slot int, off, length int64) {
	own := m.peer.Self() // any signature but the right one
	proof := protocol.SignRead(c.forgedKey, network, s.id, own)
	if _, _, err := c.caller.Get(ctx, own, &protocol.GetRequest{Segment: s.id, Slot: slot, Offset: off, Length: length, Proof: proof}, nil, protocol.MaxShardSize); err == nil {
		c.mu.Lock()
		c.reads++
		c.mu.Unlock()
	}
}

// byAudit audits the co-member and hopes that the challenge selects the chunk that it
// needs; where it knows the other half, it chooses its own half so that it does.
func (c *cheater) byAudit(ctx context.Context, m *villager, s *segment, slot int, off, length int64) []byte {
	ref := protocol.ShardRef{Segment: s.id, Slot: slot}
	var secret protocol.Half
	for i := range 100_000 {
		copy(secret[:], fmt.Append(nil, "secret ", i, slot, off))
		if !c.oneSided || (protocol.Challenge{Secret: secret}).Chunk(ref, s.desc.ShardSize) == off/protocol.ChunkSize {
			break
		}
	}
	a, err := c.caller.Audit(ctx, m.peer.Self(), &protocol.AuditRequest{Group: c.h.id, Shards: []protocol.ShardRef{ref}}, bytes.NewReader(secret[:]))
	if err != nil || a.Results[0] != 0 {
		return nil
	}
	chunk, err := protocol.VerifyChunk(a.Slices[0], off/protocol.ChunkSize, s.desc.ShardSize, s.desc.Roots[slot])
	if err != nil {
		return nil
	}
	return chunk
}

func (c *cheater) byMending(ctx context.Context, m *villager, s *segment, slot int, off, length int64) []byte {
	return c.lent(ctx, m, s, slot, off, length, protocol.PurposeMending)
}

func (c *cheater) byRepair(ctx context.Context, m *villager, s *segment, slot int, off, length int64) []byte {
	return c.lent(ctx, m, s, slot, off, length, protocol.PurposeRepair)
}

func (c *cheater) lent(ctx context.Context, m *villager, s *segment, slot int, off, length int64, why protocol.Purpose) []byte {
	r := &protocol.MendRequest{Group: c.h.id, Segment: s.id, Slot: slot, Purpose: why}
	_, raw, err := c.caller.Mend(ctx, m.peer.Self(), r, func(n int64) []byte { return make([]byte, n) }, protocol.MaxShardSize)
	if err != nil {
		return nil
	}
	return raw[off : off+length]
}

// A node that threw its shards away and kept the trees fails 99 of 100 audits, in a
// month in which each co-member audits by lot and takes its daily sample. If it knew
// the holders' halves beforehand, it would pass.
func TestWhoThrewItsShardsAway(t *testing.T) {
	if testing.Short() {
		t.Skip("codes 100 MB")
	}
	for _, oneSided := range []bool{false, true} {
		t.Run(fmt.Sprintf("one-sided=%v", oneSided), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { throwAway(t, oneSided) })
		})
	}
}

func throwAway(t *testing.T, oneSided bool) {
	h := newHamlet(t, protocol.Profile{K: 4, R: 9, N: 14}, 30, 4*16*protocol.LeafSize, inMemory)
	const slot = 13
	for _, m := range h.all {
		m.stop()
		m.loops.Wait()
		if oneSided {
			m.node.entropy = zeros{}
		}
	}
	bad := h.all[slot]
	c := &cheater{Handler: bad.node, h: h, slot: slot, caller: protocol.NewCaller(bad.peer), oneSided: oneSided, forgedKey: newKey(seeded(t, 73)), asked: make(map[peer.ID]*protocol.AuditRequest)}
	bad.peer.Serve(func(s protocol.Stream) { _ = protocol.Serve(t.Context(), s, c) })
	r := seeded(t, 72)
	passed, asked, first, firsts := 0, 0, 0, 0
	seen := make(map[protocol.SegmentID]bool)
	ask := func(m *villager, s *segment) {
		turn := &auditTurn{Node: m.node, group: h.id, known: map[protocol.SegmentID]*protocol.Descriptor{s.id: s.desc}}
		before := m.node.entropy
		m.node.entropy = halves{r.Uint64}
		defer func() { m.node.entropy = before }()
		got := turn.exchange(t.Context(), neighbours.AuditJob{Peer: bad.peer.Self(), Slot: slot}, []protocol.ShardRef{{Segment: s.id, Slot: slot}})
		ok := got[0].outcome == audit.OK && got[0].counts
		asked++
		if !seen[s.id] {
			seen[s.id] = true
			firsts++
			if ok {
				first++
			}
		}
		if ok {
			passed++
		}
	}
	for day := range 30 {
		ask(h.all[r.IntN(slot)], h.segments[day%len(h.segments)])
		if oneSided {
			continue // its co-members' allowances are used up soon enough
		}
		for _, m := range h.all[:slot] {
			ask(m, h.segments[r.IntN(len(h.segments))])
		}
		for range 4 { // the watch of a node that is on is read more often than once a day
			time.Sleep(6 * time.Hour)
			for _, m := range h.all {
				_ = m.node.neighbours.Now()
			}
		}
	}
	t.Logf("passed %d of %d audits, %d of %d first ones; chunks by audits, mending, repair: %v", passed, asked, first, firsts, c.chunks)
	switch {
	case c.reads > 0 || c.chunks[2] > 0:
		t.Errorf("%d chunks read, %d had for repair", c.reads, c.chunks[2])
	case oneSided && first*100 < 95*firsts:
		t.Errorf("the control passes only %d of %d: the test shows nothing", first, firsts)
	case !oneSided && passed*100 > asked:
		t.Errorf("passed %d of %d audits", passed, asked)
	}
	c.caller.Close()
	h.close()
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// halves are drawn from a source of numbers.
type halves struct{ next func() uint64 }

func (h halves) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(h.next())
	}
	return len(b), nil
}

// Loans: a confession first, one a segment and member, a few in all, and once
// more where the reply was lost.
func TestLoans(t *testing.T) {
	const month = 30 * 24 * time.Hour
	first := DefaultTiming().ConfessFirst
	l := newLoans(DefaultTiming())
	v := func(i byte) loan {
		return loan{borrower: borrower{idFor(1), protocol.GroupID{1}}, segment: protocol.SegmentID{i}}
	}
	type why int
	const (
		mend    why = iota
		repair      // a segment that needs it
		unclear     // a segment of which that is not known
	)
	for _, c := range []struct {
		name string
		loan loan
		why  why
		at   time.Duration
		code protocol.Code
	}{
		{"asked first", v(1), mend, 0, protocol.CodeUnavailable},
		{"while a challenge waits", v(1), mend, pendingFor, protocol.CodeUnavailable},
		{"a minute later", v(1), mend, first, 0},
		{"the reply was lost", v(1), mend, first + time.Minute, 0},
		{"twice", v(1), mend, first + 2*time.Minute, protocol.CodeCapped},
		{"for repair as well", v(1), repair, time.Hour, 0},
		{"the reply was lost", v(1), repair, time.Hour + time.Minute, 0},
		{"twice", v(1), repair, time.Hour + 2*time.Minute, protocol.CodeCapped},
		{"another", v(2), mend, time.Hour, protocol.CodeUnavailable},
		{"much later", v(2), mend, 24 * time.Hour, protocol.CodeUnavailable},
		{"and a minute", v(2), mend, 24*time.Hour + first, 0},
		{"beyond its share", v(3), mend, 25 * time.Hour, protocol.CodeCapped},
		{"to repair", v(4), repair, 26 * time.Hour, 0},
		{"on the same day", v(4), repair, 49 * time.Hour, protocol.CodeCapped},
		{"at its next turn", v(4), repair, 50 * time.Hour, 0},
		{"unclear", v(5), unclear, 51 * time.Hour, protocol.CodeUnavailable},
		{"while a challenge waits", v(5), unclear, 51*time.Hour + pendingFor, protocol.CodeUnavailable},
		{"a minute later", v(5), unclear, 51*time.Hour + first, 0},
		{"the reply was lost", v(5), unclear, 51*time.Hour + first + time.Minute, 0},
		{"on the same day", v(5), unclear, 52 * time.Hour, protocol.CodeCapped},
		{"asked beforehand", v(6), unclear, 52 * time.Hour, protocol.CodeUnavailable},
		{"much later", v(6), unclear, 53 * time.Hour, protocol.CodeCapped},
		{"beyond its share of a day", v(7), unclear, 53 * time.Hour, protocol.CodeCapped},
		{"of another group", loan{borrower: borrower{idFor(1), protocol.GroupID{2}}}, unclear, 53 * time.Hour, protocol.CodeUnavailable},
		{"the next day", v(6), unclear, 76 * time.Hour, protocol.CodeUnavailable},
		{"the next day", v(7), unclear, 77 * time.Hour, protocol.CodeUnavailable},
		{"by now it needs repair", v(6), repair, 76*time.Hour + time.Second, 0},
		{"a month later", v(1), mend, 2 * month, protocol.CodeUnavailable},
	} {
		c.loan.mending = c.why == mend
		wantCode(t, c.name, l.take(c.loan, c.why != repair, 2, c.at), c.code)
	}
}
