package repair

import (
	"time"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// view is what a node makes of the others.
func (w *world) view(n *simNode) (v group.View) {
	for i, s := range n.seats.Held {
		if s.Peer == n.id {
			v.Living.Add(i)
			continue
		}
		n.standings[s.Peer].Mark(&w.live, &v, i)
		n.records[s.Peer].Mark(&w.audits, n.watch.Now, &v, i)
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
		if !w.reaches(n, o) || o.seats == nil || o == n || o.seats.Find(n.id) >= 0 || !n.whole() {
			continue
		}
		v := w.view(o)
		if o.seats.enter(n.seat(n.slot), v, w.urgent(o, v)) {
			o.standings[n.id] = o.standings[n.id].Answered(&w.live, o.watch.Now, liveness.Said{})
			r, _ := o.records[n.id].Readmitted().Saw(&w.audits, o.watch.Now, audit.OK)
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
	g := Group{Profile: w.p, Keys: n.seats.Keys(), Living: v.Living, Self: n.seats.Find(n.id), Day: group.DayAt(protocol.GroupID{}, 24*time.Hour, w.wall.Add(n.wrong)), CutOff: n.cutOff}
	tally := group.NewTally(n.seats.Slots(), v)
	for s := range w.segments {
		lacking := w.lacking(n, s)
		count := tally.Count(lacking)
		c := group.Assess(w.p, count)
		if !c.NeedsRepair() || n.cutOff {
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
		if !vacant.Has(slot) || n.seats.candidate(slot, n.watch.Now) != nil || group.Drawer(g.ID, slot, g.Day, g.Keys, n.seats.DomainKeys(), g.Living) != g.Self {
			continue
		}
		var cands []group.Candidate
		for _, o := range w.nodes {
			if w.reaches(n, o) && o.slot < 0 {
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
			if (w.reaches(n, m) || m == n) && m.seats != nil {
				mv := w.view(m)
				m.seats.name(o.seat(slot), mv, w.urgent(m, mv), m.watch.Now, m.watch.Now+24*time.Hour)
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
		if c := n.seats.candidate(slot, n.watch.Now); c != nil {
			if o := w.node(c.Peer); w.reaches(n, o) && o.slot == slot && !o.shards[segment] {
				out = append(out, o)
			}
			continue
		}
		for i, s := range n.seats.Held {
			if o := w.node(s.Peer); int(s.Slot) == slot && !v.Gone.Has(i) && w.reaches(n, o) && o.slot == slot && !o.shards[segment] {
				out = append(out, o)
				break
			}
		}
	}
	return out
}

func (w *world) repair(segment int, takers []*simNode) {
	if w.left(segment, true) < w.p.K {
		return // what it fetches is too little
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
