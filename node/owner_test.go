package node

import (
	"bytes"
	"crypto/ed25519"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// owner is one owner's group, of which the node holds slot 3.
type owner struct {
	w       *world
	key     ed25519.PrivateKey
	renew   ed25519.PrivateKey
	record  []byte
	id      protocol.GroupID
	members []identity // by slot; that of the node has no key
	table   []byte
	client  identity
	profile protocol.Profile
}

const ownSlot = 3

func (w *world) newOwner() *owner {
	o := &owner{w: w, key: newKey(w.r), renew: newKey(w.r), client: newIdentity(w.t, w.r), profile: profile}
	rec := protocol.NewGroupRecord(network, protocol.PublicKeyOf(o.key), protocol.PublicKeyOf(o.renew), protocol.Hash{}, protocol.Nonce(randomBytes(w.r, 16)))
	o.record, o.id = rec.Encode()
	holders := make([]peer.ID, profile.N)
	for i := range holders {
		m := newIdentity(w.t, w.r)
		if i == ownSlot {
			m = identity{id: w.net.id}
		}
		o.members = append(o.members, m)
		holders[i] = m.id
	}
	o.table = o.tableOf(holders)
	return o
}

func (o *owner) tableOf(holders []peer.ID) []byte {
	return protocol.SignTable(o.key, network, o.id, o.profile, holders)
}

func fact(k protocol.FactKind, b []byte) protocol.Fact { return protocol.Fact{Kind: k, Bytes: b} }

func (o *owner) founding() []protocol.Fact {
	return []protocol.Fact{fact(protocol.FactRecord, o.record), fact(protocol.FactTable, o.table)}
}

func (o *owner) offer(from protocol.Remote, facts ...protocol.Fact) ([]protocol.Code, error) {
	r := &protocol.FactsRequest{Group: o.id.Prefix(), Offer: facts}
	reply, err := o.w.node.Facts(o.w.t.Context(), from, r)
	if err != nil {
		return nil, err
	}
	return reply.Results, nil
}

// found makes the group known to the node.
func (o *owner) found() *owner {
	o.w.t.Helper()
	o.must(o.founding()...)
	return o
}

// must offers facts that all have to be taken.
func (o *owner) must(facts ...protocol.Fact) {
	o.w.t.Helper()
	codes, err := o.offer(at(o.client.id, ""), facts...)
	if err != nil {
		o.w.t.Fatal(err)
	}
	for i, c := range codes {
		if c != 0 {
			o.w.t.Fatalf("fact of kind %d: %v", facts[i].Kind, c)
		}
	}
}

// segment is one that an owner could put.
type segment struct {
	id     protocol.SegmentID
	desc   *protocol.Descriptor
	bytes  []byte
	shards [][]byte
	grant  []byte
	read   ed25519.PrivateKey
}

func (o *owner) newSegment(size int64) *segment { return o.newSegmentOf(profile, size) }

func (o *owner) newSegmentOf(p protocol.Profile, size int64) *segment {
	r := o.w.r
	s := &segment{read: newKey(r)}
	d := &protocol.Descriptor{
		V: protocol.Version, K: p.K, N: p.N, Size: size, ShardSize: protocol.ShardSize(size, p.K),
		ReadKey: protocol.PublicKeyOf(s.read),
	}
	for range p.N {
		b := randomBytes(r, int(d.ShardSize))
		_, root := protocol.Outboard(b)
		d.Roots = append(d.Roots, root)
		s.shards = append(s.shards, b)
	}
	s.desc = d
	s.bytes, s.id = d.Encode()
	s.grant = protocol.SignGrant(o.key, network, o.id, s.id[:], d.Footprint())
	return s
}

func (o *owner) putRequest(s *segment) *protocol.PutRequest {
	return &protocol.PutRequest{Record: o.record, Slot: ownSlot, Descriptor: s.bytes, Grant: s.grant, Length: s.desc.ShardSize}
}

func (o *owner) put(from protocol.Remote, s *segment) error {
	_, err := o.w.node.Put(o.w.t.Context(), from, o.putRequest(s), bytes.NewReader(s.shards[ownSlot]))
	return err
}

func (o *owner) mustPut(s *segment) {
	o.w.t.Helper()
	if err := o.put(at(o.client.id, ""), s); err != nil {
		o.w.t.Fatal(err)
	}
}

func (o *owner) proof(s *segment, reader peer.ID) []byte {
	return protocol.SignRead(s.read, network, s.id, reader)
}

func (o *owner) get(s *segment, off, length int64) ([]byte, error) {
	o.w.t.Helper()
	r := &protocol.GetRequest{Segment: s.id, Slot: protocol.AnySlot, Offset: off, Length: length, Proof: o.proof(s, o.client.id)}
	_, raw, release, err := o.w.node.Get(o.w.t.Context(), at(o.client.id, ""), r)
	if err != nil {
		return nil, err
	}
	defer release()
	return bytes.Clone(raw), nil
}

func (o *owner) deleteFact(subject []byte) protocol.Fact {
	return fact(protocol.FactDelete, protocol.SignDelete(o.key, network, o.id, subject))
}

// pointer is the owner of one pointer of a group.
type pointer struct {
	key ed25519.PrivateKey
	id  protocol.PointerID
}

func (o *owner) newPointer() pointer {
	k := newKey(o.w.r)
	return pointer{k, protocol.PointerIDOf(protocol.PublicKeyOf(k))}
}

func (o *owner) grantPointer(p pointer) protocol.Fact {
	return fact(protocol.FactGrant, protocol.SignGrant(o.key, network, o.id, p.id[:], int64(profile.N)*protocol.PointerFootprint))
}

func (o *owner) write(p pointer, seq int64) protocol.Fact {
	salt := [32]byte(randomBytes(o.w.r, 32))
	return fact(protocol.FactPointer, protocol.SignPointer(p.key, network, seq, salt, randomBytes(o.w.r, protocol.PayloadSize), time.Time{}))
}
