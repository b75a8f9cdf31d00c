package client

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of bringing news to all members of a group.
const (
	reachNames  = 3                // members that are asked who else there is
	reachSearch = 15 * time.Second // for members where too few of those known answer
)

// reached is a group under way to knowing some facts.
type reached struct {
	c     *Client
	g     *ownGroup
	facts []protocol.Fact
	heard func() // after each acknowledgement; nil: nobody listens

	mu   sync.Mutex
	told []bool // by slot: its holder keeps all the facts, or nothing of the group
}

// reach brings facts to the holder of every slot that has not acknowledged
// them, and notes in told who does. Members that the owner does not know, who
// took slots meanwhile, are asked for; where too few of all these answer,
// members are looked for as a reader looks for them.
func (c *Client) reach(ctx context.Context, g *ownGroup, facts []protocol.Fact, told []bool, heard func()) {
	r := &reached{c: c, g: g, facts: facts, told: told, heard: heard}
	c.learnMembers(g)
	r.tellHolders(ctx)
	if r.missing() == 0 {
		return
	}
	r.tellNewcomers(ctx)
	if r.enough() || ctx.Err() != nil {
		return
	}
	r.search(ctx)
}

// tellHolders tells those whom the table names, all at once.
func (r *reached) tellHolders(ctx context.Context) {
	var all sync.WaitGroup
	for slot, h := range r.g.holders() {
		if h != "" && !r.has(slot) {
			all.Go(func() { r.tell(ctx, slot, h) })
		}
	}
	all.Wait()
}

// tell tells one member. Who knows nothing of the group keeps nothing of it.
func (r *reached) tell(ctx context.Context, slot int, h peer.ID) {
	err := r.c.tell(ctx, r.g, h, r.facts)
	if err != nil && !errors.Is(err, protocol.ErrUnknown) && !errors.Is(err, protocol.ErrNotFound) {
		r.c.log.Debug("member does not acknowledge", "group", r.g.id.Prefix(), "slot", slot, "err", err)
		return
	}
	r.note(slot)
}

func (r *reached) note(slot int) {
	r.mu.Lock()
	news := !r.told[slot]
	r.told[slot] = true
	r.mu.Unlock()
	if news && r.heard != nil {
		r.heard()
	}
}

func (r *reached) has(slot int) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.told[slot]
}

// missing returns how many slots with a holder have not acknowledged.
func (r *reached) missing() (n int) {
	for slot, h := range r.g.holders() {
		if h != "" && !r.has(slot) {
			n++
		}
	}
	return n
}

// enough reports whether the others surely hear of it.
func (r *reached) enough() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return enoughTold(r.told)
}

// enoughTold reports whether more than half of a group's slots know of news: a
// member that does not meets one that does at every other comparison.
func enoughTold(told []bool) bool { return 2*countTrue(told) > len(told) }

func countTrue(list []bool) (n int) {
	for _, ok := range list {
		if ok {
			n++
		}
	}
	return n
}

// tellNewcomers asks some of those who acknowledged who holds the slots of
// those who did not, and tells them.
func (r *reached) tellNewcomers(ctx context.Context) {
	asked := 0
	for slot, h := range r.g.holders() {
		if h == "" || !r.has(slot) {
			continue
		}
		if asked++; asked > reachNames {
			return
		}
		var all sync.WaitGroup
		for at, id := range r.newcomers(ctx, h) {
			all.Go(func() { r.tell(ctx, at, id) })
		}
		all.Wait()
	}
}

// newcomers returns the holders that a member names for slots that have not
// acknowledged, where the table names another one.
func (r *reached) newcomers(ctx context.Context, member peer.ID) map[int]peer.ID {
	out := make(map[int]peer.ID)
	holders := r.g.holders()
	for _, m := range r.members(ctx, member) {
		rec, err := r.c.opened.Open(m.Envelope)
		if err != nil || m.Slot >= len(holders) || holders[m.Slot] == rec.Peer || r.has(m.Slot) {
			continue
		}
		r.c.net.Learn(rec.Info())
		out[m.Slot] = rec.Peer
	}
	return out
}

func (r *reached) members(ctx context.Context, member peer.ID) []protocol.Member {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	proof := protocol.SignList(r.g.ownerKey, r.g.networkName, r.g.id, r.c.net.Self())
	m, err := r.c.call.Members(ctx, member, &protocol.MembersRequest{Group: r.g.id, Proof: proof})
	if err != nil {
		return nil
	}
	return m.Members
}

// search tells whoever is found to be a member, until enough are.
func (r *reached) search(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reachSearch)
	defer cancel()
	var s *search
	s = r.c.newSearch(r.g.id.Prefix(), func(ctx context.Context, id peer.ID) error {
		if r.g.table.SlotOf(id) >= 0 && r.has(r.g.table.SlotOf(id)) {
			return nil
		}
		if err := r.c.tell(ctx, r.g, id, r.facts); err != nil {
			return err
		}
		if slot := r.slotOf(ctx, id); slot >= 0 {
			r.note(slot)
		}
		if r.enough() {
			s.stop()
		}
		return nil
	})
	s.run(ctx, nil)
}

// slotOf returns the slot that a member says it holds, or -1.
func (r *reached) slotOf(ctx context.Context, id peer.ID) int {
	if slot := r.g.table.SlotOf(id); slot >= 0 {
		return slot
	}
	for _, m := range r.members(ctx, id) {
		if rec, err := r.c.opened.Open(m.Envelope); err == nil && rec.Peer == id && m.Slot < r.g.profile.N {
			return m.Slot
		}
	}
	return -1
}
