package node

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/contract"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/repair"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// Lending without a read proof is bounded, or whoever threw a shard away could
// fetch it back each time that it is audited.
const (
	// lentShare bounds what one co-member is lent to mend its shards within
	// LendEvery, and to repair what is not seen to need it within a day: with what
	// the other members lend it, a hundredth of them, or a few where they are few.
	lentShare = 100
	leastLent = 3
	// askedTill is how long after it asked first a member may come for what it
	// asked for, in Timing.ConfessFirst, lest it asks for everything beforehand.
	askedTill = 10
	// lendAgain is within what time a loan is given once more, for replies are
	// lost.
	lendAgain = 10 * time.Minute
	// sweeps is how often within LendEvery old loans are looked for, at most.
	sweeps = 720
	// maxLoans bounds the loans that are remembered; beyond it nothing is lent.
	maxLoans = 1 << 17
)

// loans are the shards that were lent, to whom and when.
type loans struct {
	repairEvery, mendEvery time.Duration // between two of one segment to one member
	first                  time.Duration // Timing.ConfessFirst

	mu     sync.Mutex
	m      map[loan]lent
	mended map[borrower]int // of these, lent for mending
	late   map[borrower]int // of these, for repair that nobody here sees a need of
	swept  time.Duration    // when those of long ago were last forgotten
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
	at    time.Duration // on neighbours' watch; before it was given, when it was first asked for
	asked bool          // and not given yet
	late  bool          // for repair, and counted as such
	twice bool
}

type borrower struct {
	peer  peer.ID
	group protocol.GroupID
}

func newLoans(t Timing) *loans {
	return &loans{
		repairEvery: t.RepairDay, mendEvery: t.LendEvery, first: t.ConfessFirst,
		m: make(map[loan]lent), mended: make(map[borrower]int), late: make(map[borrower]int),
	}
}

// every is how often the like of a loan is given. A repair that could not be
// finished is tried again when its turn comes round; who mends its own had it.
func (l *loans) every(v loan) time.Duration {
	if v.mending {
		return l.mendEvery
	}
	return l.repairEvery
}

// take notes a loan, unless the same was given not long ago. A late one is given
// to who asked for it a while before, and no more than most of them.
func (l *loans) take(v loan, late bool, most int, now time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	was, known := l.m[v]
	if known && now-was.at >= l.every(v) {
		l.forget(v)
		was, known = lent{}, false
	}
	full := len(l.m) >= maxLoans || late && (l.mended[v.borrower] >= most || l.late[v.borrower] >= most)
	if full && now-l.swept >= l.mendEvery/sweeps {
		l.swept = now
		l.expire(now)
	}
	if late {
		if err := l.ask(v, was, known, most, now); err != nil {
			return err
		}
	}
	switch {
	case known && !was.asked:
		return l.again(v, was, now)
	case len(l.m) >= maxLoans && !known:
		return protocol.Refuse(protocol.CodeUnavailable, "too many shards are lent")
	case v.mending && l.mended[v.borrower] >= most:
		return protocol.Refuse(protocol.CodeCapped, "you have had %d shards of this group for mending", most)
	}
	l.m[v] = lent{at: now, late: was.late}
	if v.mending {
		l.mended[v.borrower]++
	}
	return nil
}

// ask notes that a late loan is asked for, and refuses it till its time has come.
// Who comes too late confesses anew; for repair it would hold all that it might be
// challenged for ready at any time. mu is held.
func (l *loans) ask(v loan, was lent, known bool, most int, now time.Duration) error {
	overdue := was.asked && now-was.at > askedTill*l.first
	switch {
	case !known && !v.mending && l.late[v.borrower] >= most:
		return protocol.Refuse(protocol.CodeCapped, "you have asked for %d shards of this group today", most)
	case !known && !v.mending && len(l.m) < maxLoans:
		l.m[v] = lent{at: now, asked: true, late: true}
		l.late[v.borrower]++
		return errAsked
	case !known && len(l.m) < maxLoans, overdue && v.mending:
		l.m[v] = lent{at: now, asked: true}
		return errAsked
	case overdue:
		return protocol.Refuse(protocol.CodeCapped, "you asked for this shard, and did not come for it")
	case was.asked && now-was.at < l.first:
		return errAsked
	}
	return nil
}

// again gives a loan a second time, soon after the first. mu is held.
func (l *loans) again(v loan, was lent, now time.Duration) error {
	if was.twice || now-was.at >= min(lendAgain, l.every(v)) {
		return protocol.Refuse(protocol.CodeCapped, "you have had this shard not long ago")
	}
	was.twice = true
	l.m[v] = was
	return nil
}

var errAsked = protocol.Refuse(protocol.CodeUnavailable, "noted that you need it; ask again in a minute")

// expire forgets loans of long ago. mu is held.
func (l *loans) expire(now time.Duration) {
	for v, was := range l.m {
		if now-was.at >= l.every(v) {
			l.forget(v)
		}
	}
}

// forget takes a loan out. mu is held.
func (l *loans) forget(v loan) {
	was := l.m[v]
	delete(l.m, v)
	switch {
	case was.late:
		countDown(l.late, v.borrower)
	case v.mending && !was.asked:
		countDown(l.mended, v.borrower)
	}
}

func countDown(m map[borrower]int, b borrower) {
	if m[b]--; m[b] <= 0 {
		delete(m, b)
	}
}

// mayLend checks the rules of lending without a read proof and takes note of
// the loan. It refuses with CodeDisputed where the segment needs no repair here
// or its repair falls to another, and with CodeCapped beyond what is lent.
func (n *Node) mayLend(ctx context.Context, to peer.ID, r *protocol.MendRequest, d *protocol.Descriptor) error {
	v := loan{borrower{to, r.Group}, r.Segment, r.Purpose == protocol.PurposeMending}
	late := v.mending
	if !v.mending {
		var err error
		if late, err = n.mayRepair(to, r); err != nil {
			return err
		}
	}
	if !late {
		return n.loans.take(v, false, 0, n.neighbours.Now())
	}
	g, release, err := n.groups.Open(ctx, r.Group)
	if err != nil {
		return n.hideStore("open group", err)
	}
	held := g.Count()
	release()
	if v.mending {
		n.neighbours.Confess(r.Group, to, r.Segment, n.cfg.Timing.ConfessedFor)
	}
	return n.loans.take(v, true, max(leastLent, held*d.K/(d.N*lentShare)), n.neighbours.Now())
}

// mayRepair checks that a segment needs repair as this node sees it, or that too
// few were audited by it to tell, and that its repair may fall to a peer: now, or
// at the turn before. Of a group that lost many at once the rest are newcomers:
// if each waited until it has audited the others, nobody would be lent enough.
// Where it is unclear the asker may as well hold nothing, and be asked for a proof
// just now: it is lent a shard only when no challenge can wait any more.
func (n *Node) mayRepair(to peer.ID, r *protocol.MendRequest) (unclear bool, err error) {
	v := n.neighbours.Roll(r.Group)
	if v == nil {
		return false, protocol.Refuse(protocol.CodeNotFound, "group %s is not held", r.Group.Prefix())
	}
	t := group.NewTally(v.Table.Slots(), v.View)
	c := group.Assess(v.Table.Profile, t.Count(v.Lacking(r.Segment)))
	if !c.NeedsRepair() && c != group.Unclear {
		n.hearAll(r.Group)
		return false, protocol.Refuse(protocol.CodeDisputed, "segment %s is %s", r.Segment, c)
	}
	day := n.cfg.Timing.RepairDay
	turns := repair.Group{ID: r.Group, Profile: v.Table.Profile, Keys: v.Keys, Living: v.Living, Self: v.Self}
	asker := v.Table.Find(to)
	for _, ago := range [...]time.Duration{0, day / 4} {
		turns.Day = group.DayAt(r.Group, day, n.now().Add(-ago))
		if asker >= 0 && turns.Plausible(r.Segment, asker) {
			return c == group.Unclear, nil
		}
	}
	return false, protocol.Refuse(protocol.CodeDisputed, "segment %s is another's to repair", r.Segment)
}

// hearAll has all members of a group say soon what they have: one that was refused
// a loan may know of somebody that lacks the segment, and comes again.
func (n *Node) hearAll(id protocol.GroupID) {
	every, now := n.cfg.Timing.ExchangeEvery, n.neighbours.Now()
	if n.revisits.heard.resting(id, now) {
		return
	}
	n.revisits.heard.until(id, now+every/catchUpPart, now)
	for _, h := range n.neighbours.Holders(id) {
		if h.Member && h.State == liveness.Present {
			n.revisits.add(borrower{h.Peer, id}, now+n.rand.upTo(every/retryPart))
		}
	}
}

// Mend lends a co-member a whole shard without a read proof: to repair a segment
// that falls to it, or to mend its own, which is a confession.
func (n *Node) Mend(ctx context.Context, from protocol.Remote, r *protocol.MendRequest) (*protocol.GetReply, []byte, func(), error) {
	if !n.neighbours.IsMember(r.Group, from.Peer) {
		return nil, nil, nil, protocol.Refuse(protocol.CodeDisputed, "you are no member of group %s here", r.Group.Prefix())
	}
	_, own, _ := n.neighbours.SlotsOf(r.Group)
	if r.Slot != protocol.AnySlot && r.Slot != own {
		return nil, nil, nil, protocol.Refuse(protocol.CodeNotFound, "slot %d is another's", r.Slot)
	}
	sh, err := n.openShard(ctx, r.Segment, own)
	if err != nil {
		n.notice(ctx, r.Group, protocol.ShardRef{Segment: r.Segment, Slot: own}, err)
		return nil, nil, nil, err
	}
	defer func() { _ = sh.Close() }()
	if sh.Info().Group != r.Group || n.frees.has(kin{r.Group, r.Segment}) {
		return nil, nil, nil, protocol.Refuse(protocol.CodeNotFound, "segment %s", r.Segment)
	}
	desc := sh.Descriptor()
	d, err := protocol.OpenDescriptor(desc, r.Segment)
	if err != nil {
		return nil, nil, nil, protocol.Refuse(protocol.CodeCorrupt, "descriptor of %s", r.Segment)
	}
	if err := n.mayLend(ctx, from.Peer, r, d); err != nil {
		return nil, nil, nil, err
	}
	done, err := n.deal.bulk(ctx, n.deal.line.Up, contract.Deed{Kind: contract.Give, Class: contract.Repair, Bytes: d.ShardSize}, n.now())
	if err != nil {
		return nil, nil, nil, err
	}
	raw, free, err := n.readBody(ctx, from, sh, d, &protocol.GetRequest{Segment: r.Segment, Slot: own})
	if err != nil {
		done()
		return nil, nil, nil, err
	}
	release := func() { free(); done() }
	reply := &protocol.GetReply{Slot: own, Length: int64(len(raw))}
	if r.Descriptor {
		reply.Descriptor = desc
	}
	n.count.lent.Add(1)
	n.count.sent.Add(reply.Length)
	return reply, raw, release, nil
}
