package liar

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"

	"github.com/cairnstore/cairn/protocol"
)

// Lies in what members of a group ask one another.

// secret is the half of a challenge that the liar puts in place of the asker's.
// It is the same in both steps of a challenge, on whatever streams they come.
func (h *handler) secret(from protocol.Remote) protocol.Half {
	return protocol.Half(protocol.Sum(append(binary.BigEndian.AppendUint64(nil, h.seed), from.Peer...)))
}

// Audit accepts a challenge that it will cheat in.
func (h *handler) Audit(ctx context.Context, from protocol.Remote, r *protocol.AuditRequest) (*protocol.AuditReply, error) {
	if err := h.early(ctx, from); err != nil {
		return nil, err
	}
	if h.lie == Excuse && h.coin() {
		return nil, h.excuse()
	}
	if h.lie == WrongChunk {
		own := *r
		own.Commit = h.secret(from).Commit()
		r = &own
	}
	m, err := h.Handler.Audit(ctx, from, r)
	if err == nil && h.lie == BadNonce {
		m.Nonce = m.Nonce[:len(m.Nonce)-1]
	}
	return m, err
}

// Reveal proves nothing, or something else.
func (h *handler) Reveal(ctx context.Context, from protocol.Remote, r *protocol.RevealRequest) (*protocol.RevealReply, []byte, func(), error) {
	if err := h.early(ctx, from); err != nil {
		return nil, nil, nil, err
	}
	if h.lie == WrongChunk {
		r = &protocol.RevealRequest{Secret: h.secret(from)}
	}
	m, raw, release, err := h.Handler.Reveal(ctx, from, r)
	if err != nil {
		return m, raw, release, err
	}
	switch h.lie {
	case WrongBytes:
		raw = bytes.Clone(raw)
		h.scramble(raw)
	case Swap:
		raw = swapped(raw)
	case Boast:
		for i := range m.Results {
			m.Results[i], m.Lengths[i] = 0, protocol.MaxChunkSlice
		}
		raw = make([]byte, m.Size())
	case Suspended:
		raw = allRefused(m, protocol.CodeSuspended)
	case Excuse:
		raw = allRefused(m, protocol.CodeOf(h.excuse()))
	}
	return m, raw, release, nil
}

// allRefused makes a reply prove nothing, for one reason.
func allRefused(m *protocol.RevealReply, c protocol.Code) []byte {
	for i := range m.Results {
		m.Results[i], m.Lengths[i] = c, 0
	}
	return nil
}

// excuse draws a refusal that looks harmless.
func (h *handler) excuse() error {
	good := [...]protocol.Code{protocol.CodeUnavailable, protocol.CodeCapped, protocol.CodeSuspended, protocol.CodeDisputed, protocol.CodeVersion}
	h.mu.Lock()
	defer h.mu.Unlock()
	return protocol.Refuse(good[h.rng.IntN(len(good))], "another time")
}

// coin is true half of the time.
func (h *handler) coin() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.rng.IntN(2) == 0
}

// Beat lies about clock and excuses.
func (h *handler) Beat(ctx context.Context, from protocol.Remote, r *protocol.BeatRequest) (*protocol.BeatReply, error) {
	if err := h.early(ctx, from); err != nil && h.lie != Away {
		return nil, err
	}
	m, err := h.Handler.Beat(ctx, from, r)
	if err != nil {
		return m, err
	}
	switch h.lie {
	case Away:
		m.AwayUntil = protocol.MaxInt
	case Suspended:
		m.SuspendedUntil = protocol.MaxInt
	case Boast:
		m.Clock = protocol.MaxInt // so that all leases would be over
	case Swap:
		m.Clock, m.Draining = 0, !m.Draining
	case WrongBytes:
		for i := range m.Renewals {
			m.Renewals[i].Renewal = bytes.Clone(m.Renewals[i].Renewal)
			h.scramble(m.Renewals[i].Renewal)
		}
	}
	return m, nil
}

// Nominate lies about the place where the candidate can be found, and forgets
// what it has heard.
func (h *handler) Nominate(ctx context.Context, from protocol.Remote, r *protocol.NominateRequest) (*protocol.NominateReply, error) {
	if h.lie == Forget && len(r.Candidate) > 0 {
		return new(protocol.NominateReply), nil
	}
	if err := h.early(ctx, from); err != nil {
		return nil, err
	}
	m, err := h.Handler.Nominate(ctx, from, r)
	if err != nil {
		return m, err
	}
	switch h.lie {
	case WrongBytes, Swap:
		m.Envelope = bytes.Clone(m.Envelope)
		h.scramble(m.Envelope[len(m.Envelope)/2:])
	case Boast:
		m.Until = protocol.MaxInt
	}
	return m, nil
}

// Enter promises an audit that never comes.
func (h *handler) Enter(ctx context.Context, from protocol.Remote, r *protocol.EnterRequest) (*protocol.EnterReply, error) {
	if h.lie == Forget {
		return new(protocol.EnterReply), nil
	}
	if err := h.early(ctx, from); err != nil {
		return nil, err
	}
	return h.Handler.Enter(ctx, from, r)
}

// Mend gives false bytes to those who repair.
func (h *handler) Mend(ctx context.Context, from protocol.Remote, r *protocol.MendRequest) (*protocol.GetReply, []byte, func(), error) {
	if err := cmp.Or(h.early(ctx, from), h.noReads()); err != nil {
		return nil, nil, nil, err
	}
	m, raw, release, err := h.Handler.Mend(ctx, from, r)
	if err == nil {
		raw = h.spoil(m, raw)
	}
	return m, raw, release, err
}

// recruit puts the first peer named into every slot.
func (h *handler) recruit(m *protocol.MembersReply) {
	if len(m.Members) == 0 {
		return
	}
	one := m.Members[0].Envelope
	m.Members = make([]protocol.Member, protocol.MaxShards)
	m.Candidates = make([]protocol.Envelope, protocol.MaxShards)
	for i := range m.Members {
		m.Members[i] = protocol.Member{Slot: i, Envelope: one}
		m.Candidates[i] = one
	}
}
