package repair

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// world is one group and the nodes around it, in steps of a quarter of a day. It
// decides nothing: nodes do, by the functions that the real node calls.
type world struct {
	rng      *rand.Rand
	p        protocol.Profile
	segments int
	wall     time.Time
	nodes    []*simNode // by index; replaced ones stay, dead
	live     liveness.Settings
	audits   audit.Settings

	deaths, died         int // nodes that went for good, and the shards that they held
	repairs, made, twice int // repairs, the shards that they made, those of them that were there
}

// simNode is a node and what it knows of others, by their index.
type simNode struct {
	id       peer.ID
	at       netip.Addr
	dead, up bool
	watch    time.Duration
	slot     int       // -1: none
	until    time.Time // while it has no seat: then it forgets the slot that it was drawn for
	shards   []bool    // of slot, by segment

	seats     *group.Seats // nil: not of the group
	standings map[peer.ID]liveness.Standing
	records   map[peer.ID]audit.Record
}

const step = 6 * time.Hour

func newWorld(seed uint64, p protocol.Profile, nodes, segments int) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 0)), p: p, segments: segments, wall: time.Unix(1_800_000_000, 0),
		live: liveness.DefaultSettings(), audits: audit.DefaultSettings(),
	}
	for range nodes {
		w.add()
	}
	for slot, n := range w.nodes[:p.N] {
		w.join(n, slot)
		for s := range n.shards {
			n.shards[s] = true
		}
	}
	return w
}

func (w *world) add() {
	i := len(w.nodes)
	w.nodes = append(w.nodes, &simNode{
		id: peer.ID("node " + strconv.Itoa(i)), at: netip.AddrFrom4([4]byte{20, byte(i), byte(i >> 8), 1}),
		up: true, slot: -1, shards: make([]bool, w.segments),
		standings: map[peer.ID]liveness.Standing{}, records: map[peer.ID]audit.Record{},
	})
}

func (w *world) node(id peer.ID) *simNode {
	i, _ := strconv.Atoi(string(id[len("node "):]))
	return w.nodes[i]
}

func (n *simNode) seat(slot int) group.Seat {
	return group.Seat{Slot: uint8(slot), Peer: n.id, Key: group.KeyOf(n.id), Domain: group.AddrDomain(n.at)}
}

// join gives a node the table that the owner signed, and its own seat in it.
func (w *world) join(n *simNode, slot int) {
	ids := make([]peer.ID, w.p.N)
	for i := range ids {
		ids[i] = w.nodes[i].id
	}
	n.slot = slot
	n.seats = group.NewSeats(w.p, ids, func(id peer.ID) group.Domain { return group.AddrDomain(w.node(id).at) })
	for n.seats.Find(n.id) < 0 {
		n.seats.Leave(slotSeat(n.seats, slot))
		n.seats.Enter(n.seat(slot), group.View{}, false)
	}
}

func slotSeat(s *group.Seats, slot int) int {
	for i := range s.Held {
		if int(s.Held[i].Slot) == slot {
			return i
		}
	}
	return -1
}

// churn lets nodes come and go: a tenth down at any time, a tenth gone for good a
// month and replaced by strangers.
func (w *world) churn(monthly float64) {
	for _, n := range w.nodes[:len(w.nodes):len(w.nodes)] {
		if n.dead {
			continue
		}
		n.up = w.rng.Float64() < 0.9
		if w.rng.Float64() < monthly*float64(step)/float64(30*24*time.Hour) {
			n.dead, n.up = true, false
			w.deaths++
			for _, has := range n.shards {
				if has {
					w.died++
				}
			}
			w.add()
		}
	}
}

func (w *world) tick(monthly float64) {
	w.wall = w.wall.Add(step)
	w.churn(monthly)
	for _, n := range w.nodes {
		if n.up {
			n.watch += step
		}
		if n.slot >= 0 && n.seats == nil && w.wall.After(n.until) {
			n.slot = -1
			clear(n.shards)
		}
	}
	for _, n := range w.nodes {
		if n.up && n.seats != nil {
			w.listen(n)
		}
	}
	for _, n := range w.nodes {
		if n.up && n.seats != nil {
			w.ask(n)
			w.mend(n)
		}
	}
}

// listen beats and samples all whom a node sees in the group.
func (w *world) listen(n *simNode) {
	for _, s := range n.seats.Held {
		if s.Peer == n.id {
			continue
		}
		o := w.node(s.Peer)
		if !o.up {
			n.standings[s.Peer] = n.standings[s.Peer].Unanswered(&w.live, n.watch)
			continue
		}
		n.standings[s.Peer] = n.standings[s.Peer].Answered(&w.live, n.watch, liveness.Said{})
		n.records[s.Peer], _ = n.records[s.Peer].Saw(&w.audits, n.watch, audit.OK)
	}
}

// view is what a node makes of the others.
func (w *world) view(n *simNode) (v group.View) {
	for i, s := range n.seats.Held {
		if s.Peer == n.id {
			v.Living.Add(i)
			continue
		}
		n.standings[s.Peer].Mark(&w.live, &v, i)
		n.records[s.Peer].Mark(&w.audits, n.watch, &v, i)
	}
	return v
}

func (w *world) lacking(n *simNode, segment int) (lacking group.Set) {
	for i, s := range n.seats.Held {
		if o := w.node(s.Peer); o.slot != int(s.Slot) || !o.shards[segment] {
			lacking.Add(i)
		}
	}
	return lacking
}

func (w *world) urgent(n *simNode, v group.View) bool {
	tally := group.NewTally(n.seats.Slots(), v)
	for s := range w.segments {
		if group.Assess(w.p, tally.Count(w.lacking(n, s))) == group.Urgent {
			return true
		}
	}
	return false
}

// ask lets a node whose slot is whole ask all members that lack it to enter.
func (w *world) ask(n *simNode) {
	for _, o := range w.nodes {
		if !o.up || o.seats == nil || o == n || o.seats.Find(n.id) >= 0 || !n.whole() {
			continue
		}
		v := w.view(o)
		if o.seats.Enter(n.seat(n.slot), v, w.urgent(o, v)) == group.Welcome {
			o.standings[n.id] = o.standings[n.id].Answered(&w.live, o.watch, liveness.Said{})
			r, _ := o.records[n.id].Readmitted().Saw(&w.audits, o.watch, audit.OK)
			o.records[n.id] = r
		}
	}
}

func (n *simNode) whole() bool {
	for _, has := range n.shards {
		if !has {
			return false
		}
	}
	return true
}

// mend draws candidates and repairs, where it is the node's turn.
func (w *world) mend(n *simNode) {
	v := w.view(n)
	g := Group{Profile: w.p, Keys: n.seats.Keys(), Living: v.Living, Self: n.seats.Find(n.id), Day: group.DayAt(protocol.GroupID{}, 24*time.Hour, w.wall)}
	tally := group.NewTally(n.seats.Slots(), v)
	for s := range w.segments {
		lacking := w.lacking(n, s)
		count := tally.Count(lacking)
		c := group.Assess(w.p, count)
		if !c.NeedsRepair() {
			continue
		}
		w.draw(n, &g, v, c == group.Urgent)
		missing := Missing(w.p, &tally, v, lacking, c)
		takers := w.takers(n, s, missing, v)
		if g.Decide(&Segment{ID: protocol.SegmentID{byte(s)}, Count: count, Takers: len(takers)}) == Mine {
			w.repair(s, takers)
		}
	}
}

func (w *world) draw(n *simNode, g *Group, v group.View, urgent bool) {
	vacant := n.seats.Vacant(v, urgent)
	for slot := range w.p.N {
		if !vacant.Has(slot) || n.seats.Candidate(slot, n.watch) != nil || group.Drawer(g.ID, slot, g.Day, g.Keys, n.seats.DomainKeys(), g.Living) != g.Self {
			continue
		}
		var cands []group.Candidate
		for _, o := range w.nodes {
			if o.up && o.slot < 0 {
				cands = append(cands, group.Candidate{Peer: o.id, Addr: o.at, Free: 1})
			}
		}
		drawn := n.seats.Redraw(slot, cands, 1, false, v, w.rng)
		if len(drawn) == 0 {
			continue
		}
		o := w.node(drawn[0].Peer)
		o.slot, o.until = slot, w.wall.Add(24*time.Hour)
		for _, m := range w.nodes {
			if m.up && m.seats != nil {
				mv := w.view(m)
				m.seats.Name(o.seat(slot), mv, w.urgent(m, mv), m.watch, m.watch+24*time.Hour)
			}
		}
	}
}

// takers returns who would take the missing shards of a segment.
func (w *world) takers(n *simNode, segment int, missing group.Set, v group.View) (out []*simNode) {
	for slot := range w.p.N {
		if !missing.Has(slot) {
			continue
		}
		if c := n.seats.Candidate(slot, n.watch); c != nil {
			if o := w.node(c.Peer); o.up && o.slot == slot && !o.shards[segment] {
				out = append(out, o)
			}
			continue
		}
		for i, s := range n.seats.Held {
			if o := w.node(s.Peer); int(s.Slot) == slot && !v.Gone.Has(i) && o.up && o.slot == slot && !o.shards[segment] {
				out = append(out, o)
				break
			}
		}
	}
	return out
}

func (w *world) repair(segment int, takers []*simNode) {
	if w.left(segment, true) < w.p.K {
		return
	}
	w.repairs++
	for _, o := range takers {
		w.made++
		if o.shards[segment] {
			w.twice++
		}
		o.shards[segment] = true
		if o.seats == nil && o.whole() {
			w.join(o, o.slot)
		}
	}
}

// left counts the slots that give a segment back, of nodes that are up or of all
// that are not gone for good.
func (w *world) left(segment int, up bool) int {
	var slots group.Set
	for _, n := range w.nodes {
		if n.slot >= 0 && n.shards[segment] && (n.up || !up && !n.dead) {
			slots.Add(n.slot)
		}
	}
	return slots.Count()
}
