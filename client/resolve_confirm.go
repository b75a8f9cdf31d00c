package client

import (
	"context"
	"fmt"
	"time"

	"github.com/cairnstore/cairn/client/seal"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// confirmation counts the members that answered.
func (r *resolver) confirmation() Confirmation {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.best == nil || r.group == nil {
		return Confirmation{AsOf: r.asOf}
	}
	p := r.group.table.Profile
	c := Confirmation{Seq: r.best.Seq, Needed: group.ConfirmCount(p), Members: len(r.group.members()), AsOf: r.asOf}
	var answered []group.Candidate
	for id, seq := range r.answers {
		if !r.group.counts(id) {
			continue
		}
		if r.drawn[id] || r.allDrawn {
			answered = append(answered, r.c.seen(id))
		}
		if seq == r.best.Seq {
			c.Agree++
		}
	}
	c.Answered = group.SpreadOf(answered, group.Private(answered)).Domains
	c.Confirmed = c.Answered >= c.Needed
	return c
}

// first returns the first valid record, or ErrRevoked where a delete comes first.
func (r *resolver) first(ctx context.Context) (*protocol.Pointer, error) {
	err := r.await(ctx, func() bool { return r.best != nil && r.group != nil || r.deleted || r.ended })
	if err == nil {
		err = r.gone()
	}
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	p, g := r.best, r.group
	r.mu.Unlock()
	if p != nil && g != nil { // a record without its group proves nothing
		return p, nil
	}
	return nil, r.nothing()
}

// gone returns ErrRevoked once the owner's delete of the pointer was shown.
func (r *resolver) gone() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.deleted {
		return fmt.Errorf("open link: its owner deleted it: %w", ErrRevoked)
	}
	return nil
}

// home returns the home group, once first has returned a record.
func (r *resolver) home() *foundGroup {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.group
}

// confirm gives members a little time to answer.
func (r *resolver) confirm(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	for {
		r.mu.Lock()
		ended, changed := r.ended || r.deleted, r.changed
		r.mu.Unlock()
		if ended || r.confirmation().Confirmed {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// newer waits, for the time within, for a record newer than p, and returns nil where
// none comes.
func (r *resolver) newer(ctx context.Context, p *protocol.Pointer, within time.Duration) *protocol.Pointer {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	_ = r.await(ctx, func() bool { return r.best.Seq > p.Seq || r.ended })
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.best.Seq > p.Seq {
		return r.best
	}
	return nil
}

// nothing says why there is no record.
func (r *resolver) nothing() error {
	r.mu.Lock()
	g, none, said := r.group, 0, ""
	if r.said > 0 {
		said = fmt.Sprintf(" (%d peers say that its owner deleted it, and do not prove it)", r.said)
	}
	for id := range r.answers {
		if g != nil && g.counts(id) {
			none++
		}
	}
	r.mu.Unlock()
	if g == nil {
		return r.find.nothing("find the link's group" + said)
	}
	members, need := len(g.members()), group.ConfirmCount(g.table.Profile)
	if none >= need {
		return fmt.Errorf("find the link's pointer%s: %d of %d members answered and none has it: %w", said, none, members, ErrNotFound)
	}
	return fmt.Errorf("find the link's pointer%s: %d of %d members answered, %d are needed: %w", said, none, members, need, ErrTooFew)
}

// verdict says whether a record can be opened now.
func (r *resolver) verdict(p *protocol.Pointer) error {
	switch err := r.gone(); {
	case err != nil:
		return err
	case p.Revoked():
		return fmt.Errorf("open link: %w", ErrRevoked)
	case p.Expired(r.c.now()):
		return fmt.Errorf("open link: its time ended on %s: %w", time.Unix(p.Until, 0).UTC().Format(time.RFC3339), ErrExpired)
	}
	return nil
}

// target opens a record's payload.
func (r *resolver) target(p *protocol.Pointer) (*protocol.Target, error) {
	plain, err := seal.OpenPayload(seal.Key(r.link.Read), p.Salt, p.Payload)
	if err != nil {
		return nil, fmt.Errorf("open link: %w: %w", ErrDamaged, err)
	}
	t, err := protocol.ParseTarget(plain[:])
	if err != nil {
		return nil, fmt.Errorf("open link: %w: %w", ErrDamaged, err)
	}
	return t, nil
}
