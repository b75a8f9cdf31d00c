package client

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// askAllAfter is how long the members asked first have to answer, before all others
// are asked as well.
const askAllAfter = 200 * time.Millisecond

// pressOn begins to ask a group's members, once.
func (r *resolver) pressOn(g *foundGroup) {
	r.members.Do(func() { r.find.visits.Go(func() { r.askMembers(g) }) })
}

// askMembers asks as many members of the home group as settle which record is the
// newest, and one more; then another for each that answers or fails, and all others
// once none has for a while. Each costs a handshake. They are drawn by lot, and only
// their answers settle it, so that a member with an old record cannot bring it about
// that it is asked. Where they are too few, the DHT is asked for other members.
func (r *resolver) askMembers(g *foundGroup) {
	order := g.members()
	rand.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	patient := true
	for i, id := range order {
		changed := r.change()
		if i > group.ConfirmCount(g.table.Profile) && patient && !r.confirmation().Confirmed {
			patient = r.wait(changed)
		}
		if r.confirmation().Confirmed || r.find.ctx.Err() != nil {
			return
		}
		r.update(func() { r.drawn[id] = true })
		r.find.offer(id, true)
	}
	r.update(func() { r.allDrawn = true })
	if !r.confirmation().Confirmed {
		r.find.fromDHT(r.find.ctx)
	}
}

// wait returns true once something has changed, and false if nothing has by
// askAllAfter.
func (r *resolver) wait(changed <-chan struct{}) bool {
	late := time.NewTimer(askAllAfter)
	defer late.Stop()
	select {
	case <-changed:
		return true
	case <-late.C:
	case <-r.find.ctx.Done():
	}
	return false
}

// change returns the channel that is closed at the next change.
func (r *resolver) change() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// contradicted asks all members, within finalTimeout, for a record newer than p,
// which is bad news, and returns nil where there is none.
func (r *resolver) contradicted(ctx context.Context, p *protocol.Pointer) *protocol.Pointer {
	asked, cancel := context.WithTimeout(ctx, finalTimeout)
	defer cancel()
	s := r.c.newSearch(r.link.Home, r.ask)
	s.named = r.unanswered()
	s.runNamed(asked)
	return r.newer(ctx, p, 0)
}

// unanswered returns the members that have not answered.
func (r *resolver) unanswered() (out []peer.ID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range r.group.members() {
		if _, ok := r.answers[id]; !ok {
			out = append(out, id)
		}
	}
	return out
}
