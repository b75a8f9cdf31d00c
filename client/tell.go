package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// formTimeout is how long a candidate may take to answer Form, and a member to
// take the founding facts.
const formTimeout = 5 * time.Second

// tellAll offers facts to all members at the same time and returns how many took all
// of them, and the first refusal, if any.
func (c *Client) tellAll(ctx context.Context, g *ownGroup, facts []protocol.Fact) (took int, refusal error) {
	ctx, cancel := context.WithTimeout(ctx, formTimeout)
	defer cancel()
	holders := g.holders()
	results := make(chan error, len(holders))
	for _, h := range holders {
		go func() {
			if h == "" {
				results <- ErrNotFound
				return
			}
			results <- c.tell(ctx, g, h, facts)
		}()
	}
	for range holders {
		err := <-results
		if err == nil {
			took++
			continue
		}
		if !errors.Is(err, ErrNotFound) {
			c.log.Debug("member did not take facts", "group", g.id.Prefix(), "err", err)
		}
		if refusal == nil && isRefusal(err) {
			refusal = err
		}
	}
	return took, refusal
}

// withRefusal adds the text of the first refusal, if any, to err. It does not wrap
// the refusal: errors.Is must see only err.
func withRefusal(err, refusal error) error {
	if refusal == nil {
		return err
	}
	return fmt.Errorf("%w (first refusal: %s)", err, refusal.Error())
}

// tell offers facts to one member, each page within formTimeout; nil means that
// it keeps all of them. A fact that it refuses does not hold back the others.
func (c *Client) tell(ctx context.Context, g *ownGroup, to peer.ID, facts []protocol.Fact) error {
	var refused error
	for page := range slices.Chunk(facts, factsPage) {
		m, err := c.offer(ctx, to, &protocol.FactsRequest{Group: g.id.Prefix(), Offer: page})
		if err != nil {
			return err
		}
		for i, code := range m.Results {
			if code != 0 && refused == nil {
				refused = fmt.Errorf("offer fact of kind %d to %s: %w", page[i].Kind, protocol.ShortPeer(to), &protocol.Error{Code: code})
			}
		}
	}
	return refused
}

func (c *Client) offer(ctx context.Context, to peer.ID, r *protocol.FactsRequest) (*protocol.FactsReply, error) {
	ctx, cancel := context.WithTimeout(ctx, formTimeout)
	defer cancel()
	return c.call.Facts(ctx, to, r)
}

// factsPage keeps an offer of small facts well within a Facts message.
const factsPage = 64
