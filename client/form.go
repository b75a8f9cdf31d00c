package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// form draws members for a new group and founds it. A node that declines is not
// asked again; where those that are left no longer allow p, a lower profile is taken.
func (c *Client) form(ctx context.Context, cands []group.Candidate, w wanted, p protocol.Profile) (*ownGroup, error) {
	private := group.Private(cands)
	for {
		g, declined, err := c.tryForm(ctx, withRoom(cands, w, p), w, p, private)
		if err == nil || ctx.Err() != nil || len(declined) == 0 {
			return g, err
		}
		cands = slices.DeleteFunc(cands, func(n group.Candidate) bool { return slices.Contains(declined, n.Peer) })
		lower, floorErr := c.floor(cands, w)
		if floorErr != nil {
			return nil, err
		}
		c.log.Info("too few nodes accept, drawing again", "wanted", p, "now", lower, "declined", len(declined))
		if lower.N < p.N {
			p = lower
		}
	}
}

// tryForm asks candidates to hold the slots of one new group. With an error it
// returns those that declined.
func (c *Client) tryForm(ctx context.Context, cands []group.Candidate, w wanted, p protocol.Profile, private bool) (g *ownGroup, declined []peer.ID, err error) {
	state, err := c.newGroupState(p)
	if err != nil {
		return nil, nil, err
	}
	rng := mathrand.New(mathrand.NewPCG(seed64(c.rand), seed64(c.rand)))
	order := group.Draw(cands, p, w.shareOf(p), private, rng)
	order = order[:min(len(order), group.AskCount(p))]
	answers, refusals := c.askForm(ctx, order, &protocol.FormRequest{Record: state.Record, Profile: p, Bytes: w.shareOf(p)})
	if len(answers) < group.SafeAt(p) {
		for _, n := range order {
			if !slices.ContainsFunc(answers, func(a formAnswer) bool { return a.Peer == n.Peer }) {
				declined = append(declined, n.Peer)
			}
		}
		return nil, declined, tooFewAccept(p, len(answers), refusals)
	}
	g, err = c.establish(ctx, state, p, answers, private)
	return g, nil, err
}

func tooFewAccept(p protocol.Profile, accepted int, refusals []error) error {
	kind := ErrTooFew
	for _, err := range refusals {
		if errors.Is(err, protocol.ErrFull) || errors.Is(err, protocol.ErrCapped) || errors.Is(err, protocol.ErrBudget) {
			kind = ErrNetworkFull
		}
	}
	err := fmt.Errorf("form a group of profile %s: %d nodes accept, %d needed: %w", p, accepted, group.SafeAt(p), kind)
	if len(refusals) > 0 {
		err = withRefusal(err, refusals[0])
	}
	return err
}

func (c *Client) newGroupState(p protocol.Profile) (*groupState, error) {
	s := &groupState{Profile: p, Envelopes: make([][]byte, p.N), Formed: c.now().Unix()}
	if _, err := io.ReadFull(c.rand, s.Nonce[:]); err != nil {
		return nil, fmt.Errorf("draw a group's nonce: %w", err)
	}
	o := c.cfg.Owner
	rec := protocol.NewGroupRecord(c.cfg.Network,
		protocol.PublicKeyOf(o.bundle.OwnerKey(s.Nonce)), protocol.PublicKeyOf(o.bundle.RenewKey(s.Nonce)), o.recovery, s.Nonce)
	s.Record, _ = rec.Encode()
	return s, nil
}

// formAnswer is one node's yes.
type formAnswer struct {
	group.Candidate
	envelope protocol.Envelope
}

// askForm asks all at the same time and returns the acceptances in the order in
// which they came, and the refusals.
func (c *Client) askForm(ctx context.Context, order []group.Candidate, r *protocol.FormRequest) (yes []formAnswer, no []error) {
	ctx, cancel := context.WithTimeout(ctx, formTimeout)
	defer cancel()
	type reply struct {
		formAnswer
		err error
	}
	replies := make(chan reply, len(order))
	for _, cand := range order {
		go func() {
			req := *r
			m, err := c.call.Form(ctx, cand.Peer, &req)
			if err == nil {
				err = c.ownEnvelope(m.Envelope, cand.Peer)
			}
			if err != nil {
				replies <- reply{err: err}
				return
			}
			replies <- reply{formAnswer: formAnswer{cand, m.Envelope}}
		}()
	}
	for range order {
		a := <-replies
		if a.err != nil {
			c.log.Debug("candidate declines", "err", a.err)
			no = append(no, a.err)
			continue
		}
		yes = append(yes, a.formAnswer)
	}
	return yes, no
}

func (c *Client) ownEnvelope(e protocol.Envelope, id peer.ID) error {
	rec, err := c.opened.Open(e)
	if err == nil && rec.Peer != id {
		err = protocol.Refuse(protocol.CodeMalformed, "peer record of another peer")
	}
	return err
}

// establish assigns the slots, signs the table and tells the members. The group is
// in the journal before anybody hears of it.
func (c *Client) establish(ctx context.Context, s *groupState, p protocol.Profile, answers []formAnswer, private bool) (*ownGroup, error) {
	byPeer := make(map[peer.ID]protocol.Envelope, len(answers))
	accepted := make([]group.Candidate, len(answers))
	for i, a := range answers {
		byPeer[a.Peer], accepted[i] = a.envelope, a.Candidate
	}
	holders := make([]peer.ID, p.N)
	for slot, cand := range group.Assign(accepted, p.N, private) {
		holders[slot] = cand.Peer
		s.Envelopes[slot] = byPeer[cand.Peer]
	}
	o := c.cfg.Owner
	id := s.id()
	s.Table = protocol.SignTable(o.bundle.OwnerKey(s.Nonce), c.cfg.Network, id, p, holders)
	s.Renewed = c.now().Unix()
	if err := o.saveGroup(s); err != nil {
		return nil, err
	}
	g, err := o.openState(s)
	if err != nil {
		return nil, err
	}
	facts := append(g.foundingFacts(), g.renewal(c.now()))
	if told, refusal := c.tellAll(ctx, g, facts); told < group.SafeAt(p) {
		err := fmt.Errorf("found group %s: %d members took its table, %d needed: %w", id.Prefix(), told, group.SafeAt(p), ErrTooFew)
		return nil, errors.Join(withRefusal(err, refusal), g.close())
	}
	c.log.Info("formed a group", "group", id.Prefix(), "profile", p, "members", len(answers))
	return g, nil
}

func seed64(r io.Reader) uint64 {
	var b [8]byte
	_, _ = io.ReadFull(r, b[:]) // a weak seed only skews a draw
	var v uint64
	for _, x := range b {
		v = v<<8 | uint64(x)
	}
	return v
}
