package client

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Bounds of resolving a link.
const (
	resolveTimeout = time.Minute
	finalTimeout   = 3 * time.Second        // for members to contradict a bad verdict
	confirmTime    = 500 * time.Millisecond // for members to contradict a good one
)

// noRecord stands for the seq of a member without the pointer.
const noRecord = -1

// Confirmation says how sure it is that a pointer's record is the newest.
type Confirmation struct {
	Seq       int64     // of the record
	Agree     int       // members that showed this record
	Answered  int       // failure domains with a member that gave a true answer, if only that it has none
	Needed    int       // how many of these settle it: n − W + 1
	Members   int       // of the home group
	Confirmed bool      // Answered reached Needed
	AsOf      time.Time // of the last answer
}

// resolver asks for a link's pointer until enough members of the home group have
// answered. The first valid record can be used immediately.
type resolver struct {
	c    *Client
	link protocol.Link
	find *search

	members sync.Once // begins to ask them

	mu       sync.Mutex
	best     *protocol.Pointer
	group    *foundGroup
	answers  map[peer.ID]int64 // seq that a peer showed; noRecord: it has none
	drawn    map[peer.ID]bool  // members whose answers settle which record is the newest
	allDrawn bool              // every member's answer does
	asOf     time.Time
	deleted  bool // its owner's delete was shown
	said     int  // peers that say it was deleted and show no delete
	ended    bool // nobody is left to ask
	cancel   context.CancelFunc
	changed  chan struct{} // closed at each change
}

// resolve begins to look up a link's pointer. It goes on in the background after
// the first record until the newest is confirmed, or nobody is left to ask.
func (c *Client) resolve(ctx context.Context, link protocol.Link) *resolver {
	r := &resolver{c: c, link: link, answers: make(map[peer.ID]int64), drawn: make(map[peer.ID]bool), changed: make(chan struct{})}
	r.group = c.locator().known(link.Home)
	r.find = c.newSearch(link.Home, r.ask)
	if g := r.group; g != nil {
		r.find.onBegin = func() { r.pressOn(g) }
	}
	hints := make([][]byte, 0, len(link.Hints))
	for _, h := range link.Hints {
		hints = append(hints, h.Bytes())
	}
	ctx, r.cancel = context.WithTimeout(ctx, resolveTimeout)
	go func() {
		defer r.cancel()
		r.find.run(ctx, hintInfos(hints))
		r.update(func() { r.ended = true })
	}()
	return r
}

// update changes the resolver's state and wakes those who wait for it.
func (r *resolver) update(f func()) {
	r.mu.Lock()
	f()
	close(r.changed)
	r.changed = make(chan struct{})
	r.mu.Unlock()
}

// await waits until is, called with the lock held, returns true.
func (r *resolver) await(ctx context.Context, is func() bool) error {
	for {
		r.mu.Lock()
		done, changed := is(), r.changed
		r.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// ask asks one peer for the pointer and all that proves it.
func (r *resolver) ask(ctx context.Context, id peer.ID) error {
	m, err := r.c.call.Facts(ctx, id, &protocol.FactsRequest{Group: r.link.Home, Pointer: r.link.Pointer[:]})
	if err != nil {
		r.refused(id, err)
		return err
	}
	g := r.takeGroup(m.Facts)
	var newest *protocol.Pointer
	for _, f := range m.Facts {
		switch {
		case f.Kind == protocol.FactDelete && g != nil:
			r.takeDelete(g, f.Bytes)
		case f.Kind == protocol.FactEnvelope && g != nil:
			g.learn(r.c, f.Bytes)
		case f.Kind == protocol.FactPointer:
			p, err := protocol.OpenPointer(r.c.cfg.Network, f.Bytes)
			if err == nil && p.ID() == r.link.Pointer && (newest == nil || p.Seq > newest.Seq) {
				newest = p
			}
		}
	}
	if g != nil {
		g.show(id)
		r.pressOn(g)
	}
	if g == nil && newest == nil {
		return errNoAnswer
	}
	r.note(id, newest)
	return nil
}

// refused counts a peer that gives no record. One that says that the owner deleted
// the pointer counts as one without a record: only a delete that is shown is believed.
func (r *resolver) refused(id peer.ID, err error) {
	deleted := errors.Is(err, protocol.ErrDeleted)
	if deleted {
		r.update(func() { r.said++ })
	}
	if deleted || errors.Is(err, protocol.ErrNotFound) || errors.Is(err, protocol.ErrUnknown) {
		r.note(id, nil)
	}
}

// takeDelete verifies a delete of the pointer, which is final: no later record
// undoes it.
func (r *resolver) takeDelete(g *foundGroup, b []byte) {
	d, err := protocol.OpenDelete(g.record, g.id, b)
	if err != nil || !bytes.Equal(d.Subject, r.link.Pointer[:]) {
		r.c.log.Debug("peer shows a false delete", "err", err)
		return
	}
	r.update(func() { r.deleted = true })
}

// errNoAnswer is a reply in which nothing is valid.
var errNoAnswer = errors.New("the reply proves nothing")

func (r *resolver) takeGroup(facts []protocol.Fact) *foundGroup {
	var record, table []byte
	for _, f := range facts {
		switch f.Kind {
		case protocol.FactRecord:
			record = f.Bytes
		case protocol.FactTable:
			table = f.Bytes
		}
	}
	if record == nil || table == nil {
		return nil
	}
	g, err := r.c.locator().take(r.link.Home, record, table)
	if err != nil {
		r.c.log.Debug("peer shows a false group", "err", err)
		return nil
	}
	return g
}

// note counts a peer's answer. Once a record and its home group are found, only
// members are asked any more (askMembers).
func (r *resolver) note(id peer.ID, p *protocol.Pointer) {
	if p != nil && !r.c.locator().noteSeq(r.link.Pointer, p.Seq) {
		p = nil // a rollback: somebody showed a newer one before
	}
	r.update(func() {
		r.group = r.c.locator().known(r.link.Home)
		r.answers[id] = noRecord
		r.asOf = r.c.now()
		if p != nil {
			r.answers[id] = p.Seq
			if r.best == nil || p.Seq > r.best.Seq {
				r.best = p
			}
		}
	})
	if r.confirmation().Needed > 0 {
		r.find.settle()
	}
}

// locator returns what this session has learned of groups and segments.
func (c *Client) locator() *locator { return &c.found }

// seen returns a peer with the address and relay that its connection shows.
func (c *Client) seen(id peer.ID) group.Candidate {
	cand := group.Candidate{Peer: id, Own: id != "" && id == c.cfg.OwnNode}
	if addr, relayed, ok := c.net.RemoteAddr(id); ok && addr != nil {
		at, relay := group.Observed(addr)
		cand.Addr = at
		if relayed {
			cand.Relay = relay
		}
	}
	return cand
}
