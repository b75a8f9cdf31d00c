package client

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/protocol"
)

// race fetches one column range from as many slots as it takes: first from those
// whose bytes are wanted and, as soon as one of these fails or is late, from others,
// from which the missing bytes are decoded. The first k valid answers win. One
// goroutine decides; the others ask holders and report to it.
type race struct {
	src  *source
	sh   shape
	col  columnRange
	want map[int]bool

	queue  [][]peer.ID    // by slot: holders that were not asked yet, the most promising first
	bids   map[*bid]bool  // asked, and neither answered nor failed
	got    map[int][]byte // by slot: verified
	tally  tally
	events chan raceEvent
	over   atomic.Bool // nobody listens any more
}

// bid is a request under way.
type bid struct {
	slot   int
	peer   peer.ID
	begun  time.Time
	late   bool // its time is over: others are asked as well
	cancel context.CancelCauseFunc
}

// raceEvent is what a request reports: that it is late, or how it ended.
type raceEvent struct {
	*bid
	late bool
	data []byte
	err  error
}

// tally counts in which ways slots failed, for the error that tells them.
type tally struct {
	vacant, silent, refused, missing, deleted, lies int

	shape bool // some refusal may be due to a wrong guess
	last  error
}

var (
	errRaceOver = errors.New("enough others answered")
	errSilent   = errors.New("the peer does not answer")
)

func (s *source) newRace(sh shape, col columnRange) *race {
	r := &race{
		src: s, sh: sh, col: col, want: make(map[int]bool, len(col.slots)),
		queue: make([][]peer.ID, sh.n), bids: make(map[*bid]bool), got: make(map[int][]byte),
	}
	for _, slot := range col.slots {
		r.want[slot] = true
	}
	holders := 0
	for slot := range r.queue {
		r.queue[slot] = s.l.c.peers.upFirst(s.group.holders(slot))
		holders += len(r.queue[slot])
		if len(r.queue[slot]) == 0 {
			r.tally.vacant++
		}
	}
	// Each request sends at most two events: that it is late, and how it ended.
	r.events = make(chan raceEvent, 2*holders)
	return r
}

// idle reports whether a slot may be asked: somebody is left to be asked, and
// nobody has answered or may still do so in good time.
func (r *race) idle(slot int) bool {
	return len(r.queue[slot]) > 0 && r.got[slot] == nil && !r.coming(slot)
}

// coming reports whether a slot is on its way in good time.
func (r *race) coming(slot int) bool {
	for b := range r.bids {
		if b.slot == slot && !b.late {
			return true
		}
	}
	return false
}

// run returns the wanted slots' bytes, in buffers that are the caller's.
func (r *race) run(ctx context.Context) (map[int][]byte, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer func() {
		r.over.Store(true)
		cancel(errRaceOver)
		r.drain()
	}()
	for _, slot := range r.col.slots {
		if r.idle(slot) && !r.src.l.c.peers.down(r.queue[slot][0]) {
			r.ask(ctx, slot)
		}
	}
	err := r.listen(ctx)
	if err == nil {
		r.blameLate()
		err = r.decode()
	}
	return r.deliver(err)
}

// listen hears events until the race is won, or cannot be won any more.
func (r *race) listen(ctx context.Context) error {
	for {
		r.topUp(ctx)
		if r.enough() {
			return nil
		}
		if len(r.bids) == 0 {
			return r.impossible()
		}
		select {
		case e := <-r.events:
			if err := r.take(e); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// enough reports whether all wanted bytes are here or can be decoded.
func (r *race) enough() bool {
	if len(r.got) >= r.sh.k {
		return true
	}
	for slot := range r.want {
		if r.got[slot] == nil {
			return false
		}
	}
	return true
}

// troubled reports whether a wanted slot is not on its way in good time.
func (r *race) troubled() bool {
	for slot := range r.want {
		if r.got[slot] == nil && !r.coming(slot) {
			return true
		}
	}
	return false
}

// topUp asks further slots where a wanted one is in trouble: as many as make k
// together with those that are here or on their way in good time.
func (r *race) topUp(ctx context.Context) {
	if !r.troubled() {
		return
	}
	hopeful := len(r.got)
	for b := range r.bids {
		if !b.late && r.got[b.slot] == nil {
			hopeful++
		}
	}
	if hopeful >= r.sh.k {
		return
	}
	for _, slot := range r.rest() {
		if hopeful >= r.sh.k {
			return
		}
		r.ask(ctx, slot)
		hopeful++
	}
}

// rest returns the slots that may be asked, the most promising first.
func (r *race) rest() []int {
	slots := make(map[peer.ID][]int) // a liar may be named for several
	var ids []peer.ID
	for slot := range r.sh.n {
		if r.idle(slot) {
			h := r.queue[slot][0]
			if slots[h] == nil {
				ids = append(ids, h)
			}
			slots[h] = append(slots[h], slot)
		}
	}
	out := make([]int, 0, len(ids))
	for _, id := range r.src.l.c.peers.rank(ids) {
		out = append(out, slots[id]...)
	}
	return out
}

// take handles an event. An error ends the race.
func (r *race) take(e raceEvent) error {
	book := r.src.l.c.peers
	if e.late {
		e.bid.late = true
		return nil
	}
	delete(r.bids, e.bid)
	switch {
	case e.err == nil && r.got[e.slot] != nil: // its late holder and the next both gave it
		r.src.l.buffers.put(e.data)
	case e.err == nil:
		book.ok(e.peer, int64(len(e.data)), r.src.l.c.now().Sub(e.begun))
		r.src.group.prove(e.peer)
		r.got[e.slot] = e.data
	case errors.Is(e.err, errShape):
		return e.err
	case errors.Is(e.err, protocol.ErrForged):
		book.lied(e.peer, e.err)
		r.src.l.c.log.Warn("holder gives false bytes", "slot", e.slot, "peer", protocol.ShortPeer(e.peer), "segment", r.src.ext.Segment)
		r.tally.add(e.err)
	default:
		r.tally.add(e.err)
		if !r.guessed(e.err) && !honest(e.err) {
			book.fail(e.peer, e.err)
		}
	}
	return nil
}

// guessed reports whether a refusal may be due to a wrong guess of the segment's
// shape.
func (r *race) guessed(err error) bool {
	if errors.Is(err, protocol.ErrMalformed) && r.src.descriptor() == nil {
		r.tally.shape = true
		return true
	}
	return false
}

// honest reports whether a refusal concerns one segment only: the holder may serve
// others.
func honest(err error) bool {
	return errors.Is(err, protocol.ErrNotFound) || errors.Is(err, protocol.ErrDeleted) || errors.Is(err, protocol.ErrCorrupt)
}

func (t *tally) add(err error) {
	t.last = err
	switch {
	case errors.Is(err, protocol.ErrForged), errors.Is(err, protocol.ErrCorrupt):
		t.lies++
	case errors.Is(err, protocol.ErrDeleted):
		t.deleted++
	case errors.Is(err, protocol.ErrNotFound):
		t.missing++
	case isRefusal(err):
		t.refused++
	default:
		t.silent++
	}
}

// blameLate notes the holders that others overtook, so that the next race does not
// wait for them.
func (r *race) blameLate() {
	for b := range r.bids {
		if b.late {
			r.src.l.c.peers.fail(b.peer, errSlow)
		}
	}
}

// drain gives back the buffers of answers that came too late.
func (r *race) drain() {
	for {
		select {
		case e := <-r.events:
			r.src.l.buffers.put(e.data)
		default:
			return
		}
	}
}

// impossible says why fewer than k slots gave valid bytes.
func (r *race) impossible() error {
	t, valid := r.tally, len(r.got)
	kind := ErrTooFew
	switch {
	case valid+t.lies >= r.sh.k:
		kind = ErrDamaged
	case t.deleted > r.sh.n-r.sh.k:
		kind = ErrNotFound
	}
	err := fmt.Errorf("%d of %d holders gave valid bytes, %d are needed (%d false, %d without it, %d deleted it, %d refused, %d silent, %d slots vacant): %w",
		valid, r.sh.n, r.sh.k, t.lies, t.missing, t.deleted, t.refused, t.silent, t.vacant, kind)
	if t.last != nil {
		err = fmt.Errorf("%w (last: %s)", err, t.last.Error()) // told, not wrapped
	}
	if t.shape {
		err = errors.Join(err, errShape)
	}
	return err
}

// deliver returns the wanted slots' bytes, and gives all other buffers back.
func (r *race) deliver(err error) (map[int][]byte, error) {
	out := make(map[int][]byte, len(r.want))
	for slot, b := range r.got {
		if r.want[slot] && err == nil {
			out[slot] = b
		} else {
			r.src.l.buffers.put(b)
		}
	}
	return out, err
}
