package liar

import (
	"context"
	"crypto/ed25519"
	"math"
	mathrand "math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Plot is what a member of a group does of its own accord, while Wrap is what it
// answers: it tries to have accomplices named and let in, asks for the slots of
// living holders, borrows shards that it need not mend, and offers false facts
// and shards. Everything in it is well formed; some of it is signed, but by the
// wrong key.
type Plot struct {
	Network     string
	Caller      *protocol.Caller // from the peer that plots
	Key         crypto.PrivKey   // that peer's
	Group       protocol.GroupID
	Record      []byte
	Table       []byte
	Slots       int
	Segments    []protocol.SegmentID // some of the group's
	Accomplices []protocol.Envelope  // candidates that it wants in the group
	Rng         *mathrand.Rand
}

// plotPatience is how long one request of a plot may take.
const plotPatience = 10 * time.Second

// Tell tries everything but Crowd on one honest peer, and ignores the results.
func (p *Plot) Tell(ctx context.Context, to peer.ID) {
	p.Name(ctx, to)
	p.forgeHandover(ctx, to)
	p.borrow(ctx, to)
	p.deceive(ctx, to)
	p.stuff(ctx, to)
}

// ask bounds a request in time.
func (p *Plot) ask(ctx context.Context, f func(context.Context) error) {
	ctx, cancel := context.WithTimeout(ctx, plotPatience)
	defer cancel()
	_ = f(ctx) // it is refused, or believed: the honest nodes show which
}

// Name names accomplices to a member, as candidates for all slots.
func (p *Plot) Name(ctx context.Context, to peer.ID) {
	for slot := range p.Slots {
		r := &protocol.NominateRequest{Group: p.Group, Slot: slot, Record: p.Record, Table: p.Table, Bytes: 1, Candidate: p.accomplice()}
		p.ask(ctx, func(ctx context.Context) error { _, err := p.Caller.Nominate(ctx, to, r); return err })
	}
}

func (p *Plot) accomplice() protocol.Envelope {
	if len(p.Accomplices) == 0 {
		return protocol.Envelope{}
	}
	return p.Accomplices[p.Rng.IntN(len(p.Accomplices))]
}

// Crowd asks a member for all slots, as a candidate would, so that no room is
// left for a real one.
func (p *Plot) Crowd(ctx context.Context, to peer.ID) {
	for slot := range p.Slots {
		p.ask(ctx, func(ctx context.Context) error {
			return p.Caller.Enter(ctx, to, &protocol.EnterRequest{Group: p.Group, Slot: slot})
		})
	}
}

// forgeHandover asks for another holder's slot, with a handover that this holder
// never signed.
func (p *Plot) forgeHandover(ctx context.Context, to peer.ID) {
	slot := p.Rng.IntN(p.Slots)
	forged, err := protocol.SignHandover(p.Key, p.Network, p.Group, slot, p.Caller.Network().Self())
	if err != nil {
		return
	}
	r := &protocol.EnterRequest{Group: p.Group, Slot: slot, Handover: forged}
	p.ask(ctx, func(ctx context.Context) error { return p.Caller.Enter(ctx, to, r) })
}

// borrow asks for a shard that it has no use for.
func (p *Plot) borrow(ctx context.Context, to peer.ID) {
	for _, s := range p.Segments {
		for _, why := range []protocol.Purpose{protocol.PurposeRepair, protocol.PurposeMending} {
			r := &protocol.MendRequest{Group: p.Group, Segment: s, Slot: protocol.AnySlot, Purpose: why}
			p.ask(ctx, func(ctx context.Context) error {
				_, _, err := p.Caller.Mend(ctx, to, r, func(n int64) []byte { return make([]byte, n) }, protocol.MaxShardSize)
				return err
			})
		}
	}
}

// deceive sends a beat with excuses, a false clock and an invalid renewal, and
// offers a grant, a delete and a renewal that the owner never signed.
func (p *Plot) deceive(ctx context.Context, to peer.ID) {
	forged := p.forge()
	beat := protocol.Beat{
		Clock: p.Rng.Int64N(math.MaxUint32), AwayUntil: protocol.MaxInt, SuspendedUntil: protocol.MaxInt, Draining: true,
		Renewals: []protocol.GroupRenewal{{Group: p.Group, Renewal: forged[0].Bytes}},
	}
	p.ask(ctx, func(ctx context.Context) error {
		_, err := p.Caller.Beat(ctx, to, &protocol.BeatRequest{Beat: beat})
		return err
	})
	r := &protocol.FactsRequest{Group: p.Group.Prefix(), Offer: forged}
	p.ask(ctx, func(ctx context.Context) error { _, err := p.Caller.Facts(ctx, to, r); return err })
}

// forge signs a grant, a delete and a renewal with a key that is nobody's.
func (p *Plot) forge() []protocol.Fact {
	key := ed25519.NewKeyFromSeed(p.noise(ed25519.SeedSize))
	subject := p.noise(len(protocol.SegmentID{}))
	if len(p.Segments) > 0 {
		subject = p.Segments[p.Rng.IntN(len(p.Segments))][:]
	}
	return []protocol.Fact{
		{Kind: protocol.FactRenewal, Bytes: protocol.SignRenewal(key, p.Network, p.Group, time.Unix(p.Rng.Int64N(math.MaxUint32), 0))},
		{Kind: protocol.FactDelete, Bytes: protocol.SignDelete(key, p.Network, p.Group, subject)},
		{Kind: protocol.FactGrant, Bytes: protocol.SignGrant(key, p.Network, p.Group, p.noise(len(protocol.SegmentID{})), 1<<20)},
	}
}

func (p *Plot) noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(p.Rng.Uint32())
	}
	return b
}

// stuff puts a shard of its own making, under a grant of its own.
func (p *Plot) stuff(ctx context.Context, to peer.ID) {
	shard := p.noise(64)
	_, root := protocol.Outboard(shard)
	d := &protocol.Descriptor{
		V: protocol.Version, K: 1, N: 1, Size: int64(len(shard)), ShardSize: int64(len(shard)), Roots: []protocol.Hash{root},
		ReadKey: protocol.PublicKey(p.noise(ed25519.PublicKeySize)),
	}
	desc, id := d.Encode()
	grant := protocol.SignGrant(ed25519.NewKeyFromSeed(p.noise(ed25519.SeedSize)), p.Network, p.Group, id[:], d.Footprint())
	r := &protocol.PutRequest{Record: p.Record, Slot: p.Rng.IntN(p.Slots), Descriptor: desc, Grant: grant}
	p.ask(ctx, func(ctx context.Context) error { return p.Caller.Put(ctx, to, r, shard) })
}
