package protocol

import (
	"context"
	"io"

	"github.com/libp2p/go-libp2p/core/peer"
)

// What members of a group ask one another. A node of revision 1 refuses all of it
// with ErrVersion, but counts as alive.

// Audited is what a holder answered to a challenge. It is unverified:
// Challenge.Check verifies it, slice by slice.
type Audited struct {
	Challenge
	Results []Code   // for each shard asked about; 0: a slice came
	Slices  [][]byte // for each shard asked about, unverified; nil where none came
}

// Audit challenges a holder for a chunk of each of r.Shards: it draws its half
// from random, commits to it, and reveals it once the holder has given its own.
// An error that names reveal came after the holder had accepted the challenge.
func (c *Caller) Audit(ctx context.Context, to peer.ID, r *AuditRequest, random io.Reader) (*Audited, error) {
	secret, err := DrawHalf(random)
	if err != nil {
		return nil, failed(r, to, err)
	}
	q := &AuditRequest{Group: r.Group, Commit: secret.Commit(), Shards: r.Shards}
	m := new(AuditReply)
	if err := c.call(ctx, to, q, m); err != nil {
		return nil, err
	}
	a := &Audited{Challenge: Challenge{secret, Half(m.Nonce)}}
	reveal := &RevealRequest{secret}
	if err := c.exchange(ctx, to, reveal, nil, func(s Stream) error { return a.read(s, len(r.Shards)) }); err != nil {
		return nil, err
	}
	return a, nil
}

// read reads the reply to a Reveal, and the slices behind it.
func (a *Audited) read(s Stream, shards int) error {
	m := new(RevealReply)
	if err := readReply(s, m, int64(shards)*MaxChunkSlice); err != nil {
		return err
	}
	if len(m.Results) != shards {
		return malformed("reveal", "%d results for %d shards", len(m.Results), shards)
	}
	raw, err := readBody(s, int(m.Size()))
	if err != nil {
		return err
	}
	a.Results, a.Slices = m.Results, make([][]byte, shards)
	for i, l := range m.Lengths {
		if l > 0 {
			a.Slices[i], raw = raw[:l:l], raw[l:]
		}
	}
	return nil
}

// Beat tells a neighbour this node's own state and returns the neighbour's.
func (c *Caller) Beat(ctx context.Context, to peer.ID, r *BeatRequest) (*BeatReply, error) {
	m := new(BeatReply)
	return m, c.call(ctx, to, r, m)
}

// Nominate names a candidate for a vacant slot, to itself or to a member.
func (c *Caller) Nominate(ctx context.Context, to peer.ID, r *NominateRequest) (*NominateReply, error) {
	m := new(NominateReply)
	if err := c.call(ctx, to, r, m); err != nil {
		return nil, err
	}
	if len(r.Candidate) == 0 && len(m.Envelope) == 0 {
		return nil, failed(r, to, malformed("nominate", "a candidate without a peer record"))
	}
	return m, nil
}

// Enter asks a member to audit this node as the holder of a slot. nil means
// that it will.
func (c *Caller) Enter(ctx context.Context, to peer.ID, r *EnterRequest) error {
	return c.call(ctx, to, r, new(EnterReply))
}

// Mend asks a co-member for a whole shard, without a read proof. Its bytes are
// unverified; room and most are as in GetInto.
func (c *Caller) Mend(ctx context.Context, to peer.ID, r *MendRequest, room func(n int64) []byte, most int64) (*GetReply, []byte, error) {
	return c.fetch(ctx, to, r, room, func([]byte) {}, most, MaxShardSize) // it may wait for its line and memory first
}
