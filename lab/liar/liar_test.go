package liar

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// honest holds one shard in slot 2 and answers audits of it truly.
type honest struct {
	protocol.Handler
	shard, outboard []byte
	pending         *protocol.AuditRequest
}

var nonce = protocol.Half{7}

func (h *honest) Audit(_ context.Context, _ protocol.Remote, r *protocol.AuditRequest) (*protocol.AuditReply, error) {
	h.pending = r
	return &protocol.AuditReply{Nonce: bytes.Clone(nonce[:])}, nil
}

func (h *honest) Reveal(_ context.Context, _ protocol.Remote, r *protocol.RevealRequest) (*protocol.RevealReply, []byte, func(), error) {
	if err := protocol.CheckCommit(h.pending.Commit, r.Secret); err != nil {
		return nil, nil, nil, err
	}
	size := int64(len(h.shard))
	chunk := protocol.Challenge{Secret: r.Secret, Nonce: nonce}.Chunk(h.pending.Shards[0], size)
	off, n := protocol.ChunkRange(chunk, size)
	off, n = protocol.AlignRange(off, n, size)
	raw, err := protocol.ChunkSlice(h.shard[off:off+n], h.outboard, chunk, size, protocol.Sum(h.shard))
	return &protocol.RevealReply{Results: []protocol.Code{0}, Lengths: []int{len(raw)}}, raw, nil, err
}

func (h *honest) Beat(_ context.Context, _ protocol.Remote, r *protocol.BeatRequest) (*protocol.BeatReply, error) {
	return &protocol.BeatReply{Beat: r.Beat}, nil
}

func (h *honest) Get(context.Context, protocol.Remote, *protocol.GetRequest) (*protocol.GetReply, []byte, func(), error) {
	return new(protocol.GetReply), bytes.Clone(h.shard), nil, nil
}

func (h *honest) Mend(context.Context, protocol.Remote, *protocol.MendRequest) (*protocol.GetReply, []byte, func(), error) {
	return new(protocol.GetReply), bytes.Clone(h.shard), nil, nil
}

// audit challenges a handler for its shard, as an auditor does.
func audit(t *testing.T, h protocol.Handler, d *protocol.Descriptor) error {
	t.Helper()
	ctx, from, ref := t.Context(), protocol.Remote{Peer: "auditor"}, protocol.ShardRef{Slot: 2}
	c := protocol.Challenge{Secret: protocol.Half{1}}
	m, err := h.Audit(ctx, from, &protocol.AuditRequest{Commit: c.Secret.Commit(), Shards: []protocol.ShardRef{ref}})
	if err != nil {
		return err
	}
	if err := m.Validate(); err != nil {
		return err
	}
	c.Nonce = protocol.Half(m.Nonce)
	r, raw, _, err := h.Reveal(ctx, from, &protocol.RevealRequest{Secret: c.Secret})
	if err != nil {
		return err
	}
	if err := r.Validate(); err != nil {
		t.Errorf("a reveal that cannot be read: %v", err)
	}
	if r.Size() != int64(len(raw)) {
		t.Errorf("%d bytes, not %d", len(raw), r.Size())
	}
	if r.Results[0] != 0 {
		return protocol.Refuse(r.Results[0], "no slice")
	}
	return c.Check(ref, d, raw)
}

// TestAuditOfLiars audits a shard that is there: for each lie the result is nil,
// or an error of that kind.
func TestAuditOfLiars(t *testing.T) {
	shard := make([]byte, 64*protocol.LeafSize)
	for i := range shard {
		shard[i] = byte(i >> 10)
	}
	outboard, root := protocol.Outboard(shard)
	d := &protocol.Descriptor{ShardSize: int64(len(shard)), Roots: []protocol.Hash{{}, {}, root}}
	for lie, want := range map[Lie]error{
		"": nil, Forget: nil, Recruit: nil, Withhold: nil, Invent: nil,
		WrongBytes: protocol.ErrForged, Swap: protocol.ErrForged, Boast: protocol.ErrForged, WrongChunk: protocol.ErrForged,
		BadNonce: protocol.ErrMalformed, Deny: protocol.ErrNotFound, Away: protocol.ErrUnavailable, Suspended: protocol.ErrSuspended,
	} {
		err := audit(t, Wrap(&honest{shard: shard, outboard: outboard}, lie, 5), d)
		if (err == nil) != (want == nil) || want != nil && !errors.Is(err, want) {
			t.Errorf("%s: %v, not %v", lie, err, want)
		}
	}
}

// A node that excuses itself never proves anything; a two-faced node always shows
// a peer the same face.
func TestExcusesAndFaces(t *testing.T) {
	shard := make([]byte, 4*protocol.LeafSize)
	outboard, root := protocol.Outboard(shard)
	d := &protocol.Descriptor{ShardSize: int64(len(shard)), Roots: []protocol.Hash{{}, {}, root}}
	h := Wrap(&honest{shard: shard, outboard: outboard}, Excuse, 5)
	for range 20 {
		var no *protocol.Error
		if err := audit(t, h, d); !errors.As(err, &no) || errors.Is(err, protocol.ErrForged) {
			t.Errorf("an excuse: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // nobody waits for the dead
	h = Wrap(new(honest), TwoFaced, 5)
	alive := 0
	for i := range 64 {
		from := protocol.Remote{Peer: peer.ID(rune('a' + i))}
		_, first := h.Beat(ctx, from, new(protocol.BeatRequest))
		_, second := h.Beat(ctx, from, new(protocol.BeatRequest))
		if (first == nil) != (second == nil) {
			t.Errorf("peer %d: %v, then %v", i, first, second)
		}
		if first == nil {
			alive++
		}
	}
	if alive < 16 || alive > 48 {
		t.Errorf("it lives for %d of 64", alive)
	}
}

// The descriptor that is made for false bytes confirms them, and belongs to no
// segment.
func TestInvent(t *testing.T) {
	shard := make([]byte, 2*protocol.LeafSize)
	_, root := protocol.Outboard(shard)
	d := &protocol.Descriptor{V: protocol.Version, K: 1, N: 1, Size: int64(len(shard)), ShardSize: int64(len(shard)), Roots: []protocol.Hash{root}}
	d.ReadKey[0] = 9
	desc, id := d.Encode()
	raw := bytes.Repeat([]byte{1}, len(shard))
	got, err := protocol.ParseDescriptor(invented(desc, 0, raw))
	if err != nil {
		t.Fatal(err)
	}
	if _, root := protocol.Outboard(raw); got.Roots[0] != root {
		t.Error("it does not bear the bytes out")
	}
	if _, err := protocol.OpenDescriptor(invented(desc, 0, raw), id); !errors.Is(err, protocol.ErrForged) {
		t.Errorf("taken for the segment's: %v", err)
	}
}

// Excuses without end, and reads that are refused.
func TestExcuses(t *testing.T) {
	ctx, from := t.Context(), protocol.Remote{Peer: "neighbour"}
	for lie, want := range map[Lie]struct {
		beat protocol.Beat
		read error
	}{
		Away:      {protocol.Beat{AwayUntil: protocol.MaxInt}, protocol.ErrUnavailable},
		Suspended: {protocol.Beat{SuspendedUntil: protocol.MaxInt}, protocol.ErrSuspended},
		Boast:     {protocol.Beat{Clock: protocol.MaxInt}, nil},
		Withhold:  {protocol.Beat{}, protocol.ErrUnavailable},
	} {
		h := Wrap(&honest{shard: make([]byte, 64)}, lie, 5)
		m, err := h.Beat(ctx, from, new(protocol.BeatRequest))
		if err != nil || m.AwayUntil != want.beat.AwayUntil || m.SuspendedUntil != want.beat.SuspendedUntil || m.Clock != want.beat.Clock {
			t.Errorf("%s: %+v, %v", lie, m, err)
		}
		_, _, _, get := h.Get(ctx, from, new(protocol.GetRequest))
		_, _, _, mend := h.Mend(ctx, from, new(protocol.MendRequest))
		for _, err := range []error{get, mend} {
			if (err == nil) != (want.read == nil) || want.read != nil && !errors.Is(err, want.read) {
				t.Errorf("%s: read: %v", lie, err)
			}
		}
	}
}
