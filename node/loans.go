package node

import (
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/fair"
	"github.com/cairnstore/cairn/protocol"
)

// Lending without a read proof is bounded, or a holder that threw a shard away could
// fetch it back each time that it is audited.
const (
	// lentShare bounds what one co-member is lent to mend its shards within
	// LendEvery, and within a day to repair segments that this node does not see to
	// need it. With what the other members lend, too, it is enough for a hundredth of
	// the member's shards; leastLent is lent in any case.
	lentShare = 100
	leastLent = 3
	// askedTill is how long after it first asked a member may come for what it
	// asked for, in multiples of Timing.ConfessFirst; else it could ask for
	// everything beforehand.
	askedTill = 10
	// lendAgain is within what time a loan is given once more, because replies
	// get lost.
	lendAgain = 10 * time.Minute
	// asksALoan is how many shards a member may ask for, to mend its own, for each
	// that it may be lent: it asks all members, and only some of them have to lend.
	asksALoan = 8
	// maxLoans bounds the loans that are remembered, some 600 bytes each; beyond it
	// the most crowded groups and addresses are lent nothing.
	maxLoans = 1 << 16
)

// loans are the shards that were lent, to whom and when.
type loans struct {
	repairEvery, mendEvery time.Duration // between two of one segment to one member
	first                  time.Duration // Timing.ConfessFirst

	mu    sync.Mutex
	t     *fair.Table[loan, crowd, *lent]
	had   map[borrower]had
	swept time.Duration // when those of long ago were last forgotten
}

// loan is what is lent, and for what: to repair a segment, or the member's own
// shard.
type loan struct {
	borrower
	segment protocol.SegmentID
	mending bool
}

// lent says how a loan was given.
type lent struct {
	at    time.Duration // on neighbours' watch; until it is given, when it was first asked for
	asked bool          // and not given yet
	late  bool          // for repair, and counted as such
	twice bool
}

type borrower struct {
	peer  peer.ID
	group protocol.GroupID
}

// had counts what is remembered of one borrower.
type had struct {
	mended int // lent for mending
	asked  int // asked for, for mending
	late   int // for repair that this node sees no need of, asked for or lent
}

func newLoans(t Timing) *loans {
	l := &loans{repairEvery: t.RepairDay, mendEvery: t.LendEvery, first: t.ConfessFirst, had: make(map[borrower]had)}
	// A borrower gains by a loan that is forgotten: what came first stays.
	l.t = fair.NewTable[loan, crowd](maxLoans, fair.Newest, func(v loan, was *lent) { l.count(v, was, -1) })
	return l
}

// isOver reports whether a loan is so long ago that it may be asked for anew. A repair
// that could not be finished is tried again when its turn comes round. A member that
// mends its own shard has had the loan; if it did not come for it, it asks anew.
func (l *loans) isOver(v loan, was *lent, now time.Duration) bool {
	every := l.repairEvery
	switch {
	case v.mending && was.asked:
		every = askedTill * l.first
	case v.mending:
		every = l.mendEvery
	}
	return now-was.at >= every
}

// count counts a loan for its borrower, or no longer. mu is held.
func (l *loans) count(v loan, was *lent, by int) {
	h := l.had[v.borrower]
	switch {
	case was.late:
		h.late += by
	case v.mending && was.asked:
		h.asked += by
	case v.mending:
		h.mended += by
	}
	if h == (had{}) {
		delete(l.had, v.borrower)
	} else {
		l.had[v.borrower] = h
	}
}

// take notes a loan, unless the same was given not long ago. A late one is given only
// to a peer that asked for it a while before, and at most most of them to one peer.
// The loan counts for the crowds in.
func (l *loans) take(v loan, late bool, most int, now time.Duration, in ...crowd) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sweep(now)
	was, known := l.t.Get(v)
	if known && l.isOver(v, was, now) {
		l.t.Delete(v)
		known = false
	}
	switch {
	case known && was.asked:
		return l.give(v, was, late, most, now)
	case known:
		return l.again(v, was, now)
	case late:
		return l.ask(v, most, now, in)
	}
	return l.note(v, &lent{at: now}, in)
}

// ask notes that a late loan is asked for, and refuses it until its time has come.
// mu is held.
func (l *loans) ask(v loan, most int, now time.Duration, in []crowd) error {
	switch h := l.had[v.borrower]; {
	case v.mending && h.mended >= most:
		return protocol.Refuse(protocol.CodeCapped, "you have had %d shards of this group for mending", most)
	case v.mending && h.asked >= most*asksALoan:
		return protocol.Refuse(protocol.CodeCapped, "you have asked for %d shards of this group for mending", h.asked)
	case !v.mending && h.late >= most:
		return protocol.Refuse(protocol.CodeCapped, "you have asked for %d shards of this group today", most)
	}
	if err := l.note(v, &lent{at: now, asked: true, late: !v.mending}, in); err != nil {
		return err
	}
	return errAsked
}

// note remembers a loan that is new. mu is held.
func (l *loans) note(v loan, what *lent, in []crowd) error {
	if !l.t.Put(v, what, in...) {
		return protocol.Refuse(protocol.CodeCapped, "too many shards are lent, most of them to your group or your addresses")
	}
	l.count(v, what, 1)
	return nil
}

// give gives what was asked for, in its time. A member that comes too late confesses
// anew (isOver). A loan for repair cannot be had late either: else a member could have
// all that it may be challenged for ready to fetch at any time. mu is held.
func (l *loans) give(v loan, was *lent, late bool, most int, now time.Duration) error {
	switch {
	case late && now-was.at > askedTill*l.first:
		return protocol.Refuse(protocol.CodeCapped, "you asked for this shard, and did not come for it")
	case late && now-was.at < l.first:
		return errAsked
	case v.mending && l.had[v.borrower].mended >= most:
		return protocol.Refuse(protocol.CodeCapped, "you have had %d shards of this group for mending", most)
	}
	l.count(v, was, -1)
	was.at, was.asked = now, false
	l.count(v, was, 1)
	return nil
}

// again gives a loan a second time, soon after the first. mu is held.
func (l *loans) again(v loan, was *lent, now time.Duration) error {
	if was.twice || now-was.at >= lendAgain {
		return protocol.Refuse(protocol.CodeCapped, "you have had this shard not long ago")
	}
	was.twice = true
	return nil
}

var errAsked = protocol.Refuse(protocol.CodeUnavailable, "noted that you need it; ask again in a minute")

// sweep forgets old loans, only now and then, because looking at all takes a while.
// mu is held.
func (l *loans) sweep(now time.Duration) {
	if now-l.swept < askedTill*l.first {
		return
	}
	l.swept = now
	for v, was := range l.t.All() {
		if l.isOver(v, was, now) {
			l.t.Delete(v)
		}
	}
}
