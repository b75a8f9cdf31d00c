//go:build unix

package integration

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/lab/launch"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/p2p"
)

const (
	campaignLanes = 8    // puts at a time
	campaignMost  = 2000 // shards of one lot: bounded by a group's segments
	largeShard    = 512 << 10
)

// campaignProfile has two slots: the victim's, and one of a peer that does not
// exist.
var campaignProfile = protocol.Profile{K: 1, R: 1, N: 2}

// visit is a new peer that talks to one node: libp2p waits for seconds before it
// dials again a peer that it has lost.
type visit struct {
	*town
	host *p2p.Host
	*protocol.Caller
	to peer.ID
}

func newVisit(w *town, to *launch.Node) *visit {
	w.t.Helper()
	info, err := peer.AddrInfoFromString(to.Addrs()[0])
	w.must(err)
	h, err := p2p.New(w.ctx, p2p.Config{Network: "test", Bootstrap: []peer.AddrInfo{*info}})
	w.must(err)
	return &visit{w, h, protocol.NewCaller(h), info.ID}
}

func (v *visit) close() {
	v.Close()
	_ = v.host.Close() // it owes nothing to anybody
}

// lot is what an owner puts between two kills: one group.
type lot struct {
	*town
	victim *launch.Node
	seed   uint64
	key    ed25519.PrivateKey
	id     protocol.GroupID
	record []byte

	mu    sync.Mutex
	begun []*item
	acked []*item
}

// item is one segment of a lot: its shard follows from a seed.
type item struct {
	seed  uint64
	size  int
	id    protocol.SegmentID
	read  ed25519.PrivateKey
	grant protocol.Fact
	acked bool
}

func newLot(w *town, victim *launch.Node) *lot {
	l := &lot{town: w, victim: victim, seed: w.rng.Uint64()}
	rng := rand.New(rand.NewPCG(l.seed, 0))
	l.key = seededKey(rng)
	rec := protocol.NewGroupRecord("test", protocol.PublicKeyOf(l.key), protocol.PublicKeyOf(seededKey(rng)), protocol.Hash{}, protocol.Nonce(seededBytes(rng.Uint64(), 16)))
	l.record, l.id = rec.Encode()
	return l
}

func seededBytes(seed uint64, n int) []byte {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	b := make([]byte, n)
	_, _ = rand.NewChaCha8(key).Read(b) // never fails
	return b
}

func seededKey(rng *rand.Rand) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(seededBytes(rng.Uint64(), ed25519.SeedSize))
}

// put makes the group and puts shards until the node is gone. It calls begins
// when it is about to dial.
func (l *lot) put(begins func()) {
	l.t.Helper()
	v := newVisit(l.town, l.victim)
	defer v.close()
	begins()
	pub, err := crypto.UnmarshalEd25519PublicKey(seededKey(l.rng).Public().(ed25519.PublicKey))
	l.must(err)
	nobody, err := peer.IDFromPublicKey(pub)
	l.must(err)
	table := protocol.SignTable(l.key, "test", l.id, campaignProfile, []peer.ID{v.to, nobody})
	reply, err := v.Facts(l.ctx, v.to, &protocol.FactsRequest{Group: l.id.Prefix(), Offer: []protocol.Fact{
		{Kind: protocol.FactRecord, Bytes: l.record}, {Kind: protocol.FactTable, Bytes: table},
	}})
	if err != nil {
		return // the node was killed before it knew the group
	}
	for i, code := range reply.Results {
		if code != 0 {
			l.t.Errorf("fact %d of a group: %v", i, code)
		}
	}
	var lanes sync.WaitGroup
	for lane := range campaignLanes {
		lanes.Go(func() { l.lane(v, rand.New(rand.NewPCG(l.seed, uint64(lane+1)))) })
	}
	lanes.Wait()
}

// lane puts one shard after the other.
func (l *lot) lane(v *visit, rng *rand.Rand) {
	for range campaignMost / campaignLanes {
		it, req, data := l.newItem(rng)
		l.mu.Lock()
		l.begun = append(l.begun, it)
		l.mu.Unlock()
		err := v.Put(l.ctx, v.to, req, data)
		if refused := new(protocol.Error); errors.As(err, &refused) {
			l.t.Errorf("put of %d bytes: %v", it.size, err)
		}
		if err != nil {
			return
		}
		l.mu.Lock()
		it.acked = true
		l.acked = append(l.acked, it)
		l.mu.Unlock()
	}
}

// newItem makes a segment: mostly small, now and then a large one.
func (l *lot) newItem(rng *rand.Rand) (*item, *protocol.PutRequest, []byte) {
	most := []int{4 << 10, 4 << 10, 64 << 10, largeShard}[min(3, rng.IntN(10)/3)]
	it := &item{seed: rng.Uint64(), size: int(protocol.ShardSize(int64(1+rng.IntN(most)), 1)), read: seededKey(rng)}
	data := seededBytes(it.seed, it.size)
	_, root := protocol.Outboard(data)
	d := &protocol.Descriptor{
		V: protocol.Version, K: campaignProfile.K, N: campaignProfile.N, Size: int64(it.size), ShardSize: int64(it.size),
		Roots: []protocol.Hash{root, protocol.Hash(seededBytes(it.seed+1, 32))}, ReadKey: protocol.PublicKeyOf(it.read),
	}
	desc, id := d.Encode()
	it.id = id
	it.grant = protocol.Fact{Kind: protocol.FactGrant, Bytes: protocol.SignGrant(l.key, "test", l.id, id[:], d.Footprint())}
	return it, &protocol.PutRequest{Record: l.record, Slot: 0, Descriptor: desc, Grant: it.grant.Bytes}, data
}

// verify reads every shard of the lot, and asks for every grant. What was
// acknowledged must be there; what was not must be whole or absent.
func (l *lot) verify(v *visit) (read int) {
	next := make(chan *item)
	var lanes sync.WaitGroup
	for range campaignLanes {
		lanes.Go(func() {
			for it := range next {
				l.readBack(v, it)
			}
		})
	}
	for _, it := range l.begun {
		next <- it
	}
	close(next)
	lanes.Wait()
	for rest := l.acked; len(rest) > 0; {
		page := rest[:min(len(rest), 128)]
		rest = rest[len(page):]
		l.askGrants(v, page)
	}
	return len(l.acked)
}

func (l *lot) readBack(v *visit, it *item) {
	ctx, cancel := context.WithTimeout(l.ctx, patience)
	defer cancel()
	req := &protocol.GetRequest{Segment: it.id, Slot: 0, Proof: protocol.SignRead(it.read, "test", it.id, v.host.Self())}
	_, got, err := v.Get(ctx, v.to, req, nil, int64(it.size))
	switch {
	case err == nil && !bytes.Equal(got, seededBytes(it.seed, it.size)):
		l.t.Errorf("%d of %d bytes of segment %s came back, or others (acknowledged: %t)", len(got), it.size, it.id, it.acked)
	case err != nil && (it.acked || protocol.CodeOf(err) != protocol.CodeNotFound):
		l.t.Errorf("segment %s of %d bytes (acknowledged: %t): %v", it.id, it.size, it.acked, err)
	}
}

func (l *lot) askGrants(v *visit, page []*item) {
	req := &protocol.FactsRequest{Group: l.id.Prefix(), Proof: protocol.SignList(l.key, "test", l.id, v.host.Self())}
	for _, it := range page {
		req.Want = append(req.Want, it.grant.ID())
	}
	reply, err := v.Facts(l.ctx, v.to, req)
	if err != nil || len(reply.Facts) != len(page) {
		l.t.Errorf("of %d grants acknowledged not all came back: %v, %+v", len(page), err, reply)
	}
}
