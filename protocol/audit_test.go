package protocol

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"
)

// seededReader gives the same bytes each time.
func seededReader(b byte) *rand.ChaCha8 { return rand.NewChaCha8([32]byte{b}) }

// An honest holder proves each challenged chunk, and says which it does not have.
func TestAudit(t *testing.T) {
	const size = 5*LeafSize + 64
	h := &echo{shard: generated(size)}
	_, root := Outboard(h.shard)
	c := NewCaller(pipeNet{h})
	defer c.Close()
	q := &AuditRequest{Shards: []ShardRef{{SegmentID{1}, 0}, {SegmentID{1}, 9}, {SegmentID{2}, 0}}}
	a, err := c.Audit(t.Context(), "them", q, seededReader(1))
	if err != nil {
		t.Fatal(err)
	}
	if a.Results[0] != 0 || a.Results[1] != CodeNotFound || a.Slices[1] != nil || a.Nonce != echoNonce {
		t.Fatalf("%+v", a.Results)
	}
	d := &Descriptor{ShardSize: size, Roots: []Hash{root}}
	for _, i := range []int{0, 2} {
		if err := a.Check(q.Shards[i], d, a.Slices[i]); err != nil {
			t.Errorf("shard %d: %v", i, err)
		}
		if err := a.Check(ShardRef{SegmentID{1}, 1}, d, a.Slices[i]); !errors.Is(err, ErrForged) {
			t.Errorf("a slot that the segment has not: %v", err)
		}
	}
	// The other half of the challenge selects other chunks.
	other, wrong := a.Challenge, 0
	for i := range 16 {
		other.Nonce[5] = byte(i + 1)
		if err := other.Check(q.Shards[0], d, a.Slices[0]); errors.Is(err, ErrForged) {
			wrong++
		}
	}
	if wrong == 0 {
		t.Error("sixteen other nonces select the same chunk")
	}
}

// shifty answers a Reveal with lengths and bytes that do not belong together.
type shifty struct {
	echo
	m   *RevealReply
	raw []byte
}

func (h *shifty) Reveal(context.Context, Remote, *RevealRequest) (*RevealReply, []byte, func(), error) {
	return h.m, h.raw, func() { h.released++ }, nil
}

// Whatever a handler's Reveal returns, the stream stays in step, and the bytes are
// released.
func TestRevealKeepsStep(t *testing.T) {
	for name, c := range map[string]struct {
		m   *RevealReply
		raw int
		err error
	}{
		"fits":            {&RevealReply{Results: []Code{0}, Lengths: []int{8}}, 8, nil},
		"fewer bytes":     {&RevealReply{Results: []Code{0}, Lengths: []int{8}}, 7, ErrUnavailable},
		"more bytes":      {&RevealReply{Results: []Code{0}, Lengths: []int{8}}, 9, ErrUnavailable},
		"fewer results":   {&RevealReply{}, 0, ErrMalformed},
		"refusal and raw": {&RevealReply{Results: []Code{5}, Lengths: []int{8}}, 8, ErrMalformed},
		"long slice":      {&RevealReply{Results: []Code{0}, Lengths: []int{MaxChunkSlice + 1}}, MaxChunkSlice + 1, ErrMalformed},
	} {
		h := &shifty{m: c.m, raw: make([]byte, c.raw)}
		net := &dialled{next: serveAll(h)}
		caller := NewCaller(net)
		_, err := caller.Audit(t.Context(), "them", &AuditRequest{Shards: []ShardRef{{}}}, seededReader(1))
		if (c.err == nil) != (err == nil) || c.err != nil && !errors.Is(err, c.err) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := caller.Info(t.Context(), "them"); err != nil {
			t.Errorf("%s: next request: %v", name, err)
		}
		caller.Close()
	}
}

// If the random source fails, nothing is sent.
func TestAuditWithoutRandomness(t *testing.T) {
	h := new(echo)
	c := NewCaller(pipeNet{h})
	defer c.Close()
	_, err := c.Audit(t.Context(), "them", &AuditRequest{Shards: []ShardRef{{}}}, bytes.NewReader(make([]byte, 31)))
	if err == nil || h.pending != nil {
		t.Errorf("%v, asked %v", err, h.pending != nil)
	}
}

// Every chunk is selected, none much more often than others.
func TestChallengeChunk(t *testing.T) {
	const chunks, draws = 5, 5000
	var count [chunks]int
	rng := seededReader(2)
	for range draws {
		var c Challenge
		_, _ = rng.Read(c.Secret[:])
		_, _ = rng.Read(c.Nonce[:])
		count[c.Chunk(ShardRef{SegmentID{1}, 3}, chunks*ChunkSize)]++
	}
	for i, n := range count {
		if n < draws/chunks*8/10 || n > draws/chunks*12/10 {
			t.Errorf("chunk %d selected %d times of %d", i, n, draws)
		}
	}
}

// The messages that members exchange arrive as they were sent.
func TestMemberExchanges(t *testing.T) {
	w := newWorld(t)
	h := &echo{shard: generated(256)}
	c := NewCaller(pipeNet{h})
	defer c.Close()
	ctx := t.Context()
	if m, err := c.Beat(ctx, "them", &BeatRequest{w.beat()}); err != nil || m.Clock != at.Unix() || len(m.Renewals) != 1 {
		t.Errorf("beat: %+v, %v", m, err)
	}
	if m, err := c.Nominate(ctx, "them", &NominateRequest{}); err != nil || m.Until != 1 {
		t.Errorf("nominate: %+v, %v", m, err)
	}
	if _, err := c.Nominate(ctx, "them", &NominateRequest{Candidate: w.envelope(1)}); err != nil {
		t.Errorf("nominate to a member: %v", err)
	}
	if err := c.Enter(ctx, "them", &EnterRequest{Slot: 9}); !errors.Is(err, ErrDisputed) {
		t.Errorf("enter: %v", err)
	}
	if err := c.Enter(ctx, "them", &EnterRequest{Slot: 1}); err != nil {
		t.Errorf("enter: %v", err)
	}
	room := func(n int64) []byte { return make([]byte, n) }
	mend := &MendRequest{Slot: AnySlot, Purpose: PurposeMending}
	if _, raw, err := c.Mend(ctx, "them", mend, room, 256); err != nil || !bytes.Equal(raw, h.shard) {
		t.Errorf("mend: %v", err)
	}
	if _, _, err := c.Mend(ctx, "them", mend, room, 255); !errors.Is(err, ErrMalformed) {
		t.Errorf("mend beyond the most: %v", err)
	}
}

// A node of revision 1 knows no kind above Facts: its refusal is understood, and its
// stream is not used again.
func TestOlderNodeRefuses(t *testing.T) {
	net := &counted{scripted: scripted{say: frameOf(statusError, mustEncode(&refusal{Code: CodeVersion, Text: "message of kind 10"}))}}
	c := NewCaller(net)
	defer c.Close()
	for range 2 {
		if _, err := c.Beat(t.Context(), "them", &BeatRequest{}); !errors.Is(err, ErrVersion) {
			t.Fatal(err)
		}
	}
	if net.opened != 2 {
		t.Errorf("%d streams for two requests", net.opened)
	}
}

type counted struct {
	scripted
	opened int
}

func (n *counted) Open(ctx context.Context, to peer.ID) (Stream, error) {
	n.opened++
	return n.scripted.Open(ctx, to)
}
