package node

import (
	"context"

	"github.com/cairnstore/cairn/protocol"
)

// What this node does not take part in yet it refuses as a node of revision 1
// of the norm does, which has none of it.
func untaken(k protocol.Kind) error {
	return protocol.Refuse(protocol.CodeVersion, "%s is not answered here", k)
}

// Audit refuses to be challenged.
func (n *Node) Audit(context.Context, protocol.Remote, *protocol.AuditRequest) (*protocol.AuditReply, error) {
	return nil, untaken(protocol.KindAudit)
}

// Reveal refuses, as no challenge was taken.
func (n *Node) Reveal(context.Context, protocol.Remote, *protocol.RevealRequest) (*protocol.RevealReply, []byte, func(), error) {
	return nil, nil, nil, untaken(protocol.KindReveal)
}

// Nominate refuses to become a candidate, and to hear of one.
func (n *Node) Nominate(context.Context, protocol.Remote, *protocol.NominateRequest) (*protocol.NominateReply, error) {
	return nil, untaken(protocol.KindNominate)
}

// Enter refuses to audit the asker.
func (n *Node) Enter(context.Context, protocol.Remote, *protocol.EnterRequest) (*protocol.EnterReply, error) {
	return nil, untaken(protocol.KindEnter)
}

// Mend refuses shards to whoever has no read proof.
func (n *Node) Mend(context.Context, protocol.Remote, *protocol.MendRequest) (*protocol.GetReply, []byte, func(), error) {
	return nil, nil, nil, untaken(protocol.KindMend)
}
