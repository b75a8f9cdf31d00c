package node

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// How long a member may take over one question after another
// (docs/decisions/0044).
const (
	// compareSlack is what a comparison of facts may take besides the time that
	// its bytes are on their way: some forty questions, for the largest group
	// that there can be.
	compareSlack = time.Minute
	// hearSlack is the same for a member's list of segments.
	hearSlack = 30 * time.Second
	// dawdlersAsked is how many dawdling members one comparison of a group waits for.
	dawdlersAsked = 4
)

// nameSize is what the name of a fact or segment takes in a message.
const nameSize = len(protocol.Hash{}) + 2

// errDawdles says that a peer has used up what a conversation may take.
var errDawdles = errors.New("it takes too long over its answers")

// conversation bounds the time that one peer takes over many questions, each of which
// has a deadline of its own: it has some slack in all, and the time that the bytes
// moved need at the least rate. A peer that says little and takes long over it is
// given up.
type conversation struct{ left time.Duration }

// ask asks one thing, within most.
func (c *conversation) ask(ctx context.Context, most time.Duration, do func(context.Context) error) error {
	if c.left <= 0 {
		return errDawdles
	}
	ctx, cancel := context.WithTimeout(ctx, min(most, c.left))
	defer cancel()
	begun := time.Now()
	err := do(ctx)
	if c.left -= time.Since(begun); c.left <= 0 && err != nil {
		return errors.Join(errDawdles, err)
	}
	return err
}

// moved notes that bytes have come or gone that were asked for, and had not come
// before.
func (c *conversation) moved(bytes int) {
	c.left += protocol.TransferTime(int64(bytes)) - protocol.TransferTime(0)
}

// pageTimeout is how long a page of facts, or of their names, may take.
var pageTimeout = protocol.TransferTime(replyRoom)

// have asks for what a peer has of a group: for digests, or for names.
func (c *conversation) have(ctx context.Context, n *Node, with peer.ID, r *protocol.HaveRequest) (m *protocol.HaveReply, err error) {
	most := exchangeTimeout
	if len(r.Facts)+len(r.Segments) > 0 {
		most = pageTimeout
	}
	err = c.ask(ctx, most, func(ctx context.Context) (err error) {
		m, err = n.caller.Have(ctx, with, r)
		return err
	})
	return m, err
}

// facts asks for facts, or offers some.
func (c *conversation) facts(ctx context.Context, n *Node, with peer.ID, r *protocol.FactsRequest) (m *protocol.FactsReply, err error) {
	err = c.ask(ctx, pageTimeout, func(ctx context.Context) (err error) {
		m, err = n.caller.Facts(ctx, with, r)
		return err
	})
	return m, err
}
