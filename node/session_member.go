package node

import (
	"context"

	"github.com/cairnstore/cairn/protocol"
)

// What co-members ask one another, within the session's bounds.

// Audit is Node.Audit within the session's bounds.
func (v *session) Audit(ctx context.Context, from protocol.Remote, r *protocol.AuditRequest) (*protocol.AuditReply, error) {
	return under(ctx, v, from, r, v.Node.Audit)
}

// Reveal is Node.Reveal within the session's bounds.
func (v *session) Reveal(ctx context.Context, from protocol.Remote, r *protocol.RevealRequest) (*protocol.RevealReply, []byte, func(), error) {
	return underRaw(ctx, v, from, r, v.Node.Reveal)
}

// Beat is Node.Beat within the session's bounds.
func (v *session) Beat(ctx context.Context, from protocol.Remote, r *protocol.BeatRequest) (*protocol.BeatReply, error) {
	return under(ctx, v, from, r, v.Node.Beat)
}

// Nominate is Node.Nominate within the session's bounds.
func (v *session) Nominate(ctx context.Context, from protocol.Remote, r *protocol.NominateRequest) (*protocol.NominateReply, error) {
	return under(ctx, v, from, r, v.Node.Nominate)
}

// Enter is Node.Enter within the session's bounds.
func (v *session) Enter(ctx context.Context, from protocol.Remote, r *protocol.EnterRequest) (*protocol.EnterReply, error) {
	return under(ctx, v, from, r, v.Node.Enter)
}

// Mend is Node.Mend within the session's bounds.
func (v *session) Mend(ctx context.Context, from protocol.Remote, r *protocol.MendRequest) (*protocol.GetReply, []byte, func(), error) {
	return underRaw(ctx, v, from, r, v.Node.Mend)
}
