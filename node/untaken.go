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

// Nominate refuses to become a candidate, and to hear of one.
func (n *Node) Nominate(context.Context, protocol.Remote, *protocol.NominateRequest) (*protocol.NominateReply, error) {
	return nil, untaken(protocol.KindNominate)
}

// Enter refuses to audit the asker.
func (n *Node) Enter(context.Context, protocol.Remote, *protocol.EnterRequest) (*protocol.EnterReply, error) {
	return nil, untaken(protocol.KindEnter)
}
