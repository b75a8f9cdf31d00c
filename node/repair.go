package node

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/cairnstore/cairn/node/neighbours"
	"github.com/cairnstore/cairn/node/quota"
	"github.com/cairnstore/cairn/node/repair"
	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// repairs is what this node knows of repair beyond its views.
type repairs struct {
	once sync.Mutex // one round at a time
	wake chan struct{}

	thin     *rests[place]            // slots for which no candidate was found
	declined *rests[borrower]         // nodes that would not take a slot of a group
	failed   *rests[kin]              // segments that could not be repaired
	asked    *rests[kin]              // for which co-members noted the request, and lend later
	partial  *partials                // what was gathered for them
	given    *rests[loan]             // shards that others have, as they say or because this node put them
	arriving *rests[loan]             // of these, those whose holders are yet to enter
	late     *undelivered             // what was made for peers that did not answer
	ahead    *rests[protocol.GroupID] // groups of which most members see no need yet
	hasty    *rests[protocol.GroupID] // the same, for as long as this node draws no other candidate in a hurry

	most int64 // bytes that the segments being repaired may take in memory
	room *semaphore.Weighted

	mu    sync.Mutex
	since map[protocol.GroupID]time.Duration // when a group was first seen to need repair, on the watch
	soon  map[kin]time.Duration              // when to look again at a segment, before the next round is due, on the watch
}

func newRepairs(most int64) *repairs {
	return &repairs{
		most: most, room: semaphore.NewWeighted(most),
		thin: newRests[place](), declined: newRests[borrower](), failed: newRests[kin](), asked: newRests[kin](), given: newRests[loan](), arriving: newRests[loan](), late: newUndelivered(), ahead: newRests[protocol.GroupID](), hasty: newRests[protocol.GroupID](), partial: newPartials(),
		wake:  make(chan struct{}, 1),
		since: make(map[protocol.GroupID]time.Duration),
		soon:  make(map[kin]time.Duration),
	}
}

// repairSoon begins the next round now.
func (n *Node) repairSoon() {
	select {
	case n.repairs.wake <- struct{}{}:
	default:
	}
}

// lookAt plans a round, for a segment, at a moment on the watch.
func (r *repairs) lookAt(k kin, at time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.soon) < maxRests {
		r.soon[k] = at
	}
}

// wait returns how long it is until the next round, every at most.
func (r *repairs) wait(every, now time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.soon {
		every = min(every, max(0, at-now))
	}
	return every
}

// begin notes that a round begins.
func (r *repairs) begin(now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.soon, func(_ kin, at time.Duration) bool { return at <= now })
}

// needed returns for how long a group has needed repair, as far as this node
// has seen.
func (r *repairs) needed(g protocol.GroupID, needs bool, now time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !needs {
		delete(r.since, g)
		return 0
	}
	if _, ok := r.since[g]; !ok {
		r.since[g] = now
	}
	return now - r.since[g]
}

// waited returns for how long a group has needed repair without interruption.
func (r *repairs) waited(g protocol.GroupID, now time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	since, needs := r.since[g]
	if !needs {
		return 0
	}
	return now - since
}

// repairLoop makes what is missing in the groups that this node shares.
func (n *Node) repairLoop(ctx context.Context) {
	for ctx.Err() == nil {
		wait := n.repairs.wait(n.rand.jitter(n.cfg.Timing.RepairEvery), n.neighbours.Now())
		if !pause(ctx, wait, n.repairs.wake) {
			return
		}
		if err := n.repairOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("repair", "err", err)
		}
	}
}

// repairOnce looks at every group, draws candidates for vacant slots, and
// repairs the segments that fall to this node, the most endangered first, as
// many as its budget allows.
func (n *Node) repairOnce(ctx context.Context) error {
	n.repairs.once.Lock()
	defer n.repairs.once.Unlock()
	n.repairs.begin(n.neighbours.Now())
	if n.cfg.NoRepair || n.neighbours.CutOff() {
		return nil
	}
	n.bringUndelivered(ctx)
	var (
		jobs []*repairJob
		work []repair.Work
	)
	for _, id := range n.neighbours.IDs() {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		found, err := n.examine(ctx, id)
		if err != nil {
			n.log.Warn("a group cannot be examined", "group", id.Prefix(), "err", err)
			continue
		}
		for _, j := range found {
			if !n.repairsNow(j.urgent) {
				continue
			}
			j.work.Segment = len(jobs)
			jobs, work = append(jobs, j), append(work, j.work)
		}
	}
	batch, _ := repair.Plan(work, n.repairBudget(work), n.repairMost())
	var all errgroup.Group
	all.SetLimit(n.atOnce(repairsAtOnce))
	for _, w := range batch {
		all.Go(func() error {
			if ctx.Err() == nil {
				n.repairSegment(ctx, jobs[w.Segment])
			}
			return ctx.Err()
		})
	}
	return all.Wait()
}

// groupFacts is what repair needs of a group's facts.
type groupFacts struct {
	record, table []byte
	bytes         int64 // that one member keeps
	grants        map[protocol.SegmentID]truth.Grant
}

// shardSize returns how many bytes a shard of a segment has at most, by what its
// owner grants to all n holders, and by how long a segment may be.
func (f *groupFacts) shardSize(s protocol.SegmentID, p protocol.Profile) int64 {
	most := protocol.ShardSize(protocol.SegmentSize(p.K), p.K)
	if g, granted := f.grants[s]; granted {
		most = min(most, g.Bytes/int64(p.N))
	}
	return most
}

// factsOf reads what repair needs of a group's facts.
func (n *Node) factsOf(ctx context.Context, id protocol.GroupID) (*groupFacts, error) {
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return nil, err
	}
	defer release()
	_, table, err := g.Founded()
	if err != nil {
		return nil, err
	}
	f := &groupFacts{bytes: quota.GroupCharge}
	f.record, f.table = g.Founding()
	grants, bytes := g.GrantsFor(table.Profile.N)
	f.grants, f.bytes = grants, f.bytes+bytes
	return f, nil
}

// repairJob is one segment that this node is to repair.
type repairJob struct {
	roll    *neighbours.Roll
	facts   *groupFacts
	segment protocol.SegmentID
	missing group.Set // slots
	urgent  bool
	work    repair.Work
	fetched int64 // bytes of shards that others lent
}

// agreed is the time within which all members find the same holder gone: each asks
// it at moments of its own, and finds it gone the later, the longer it was itself
// switched off meanwhile. A candidate that is named before most see the slot vacant
// is refused, and another is drawn as well. A member that repairs before most see
// the need is lent too few shards, or makes only some, and then k are fetched again
// for the rest.
func (n *Node) agreed() time.Duration {
	t := &n.cfg.Timing.Liveness
	return max(2*t.RetryEvery, t.GoneAfter/7)
}

// needed returns for how long a group has needed repair. A restart forgets since when
// this node has seen the need, but not when it last found a holder gone: that counts
// once peers that entered meanwhile have had time to ask this node.
func (n *Node) needed(v *neighbours.Roll, needs bool) time.Duration {
	seen := n.repairs.needed(v.ID, needs, n.neighbours.Now())
	if !needs || v.Lastly == 0 {
		return seen
	}
	lost := n.now().Sub(time.Unix(v.Lastly, 0))
	return max(seen, min(lost, seen+n.agreed()-n.cfg.Timing.EnterAgain))
}

// patience is for how long lazy repair waits for members that see no need yet, and
// for candidates for at least half of what is missing. A node that does not know a
// member that came by proof sees the need days before the others.
func (n *Node) patience() time.Duration { return 4 * n.agreed() }

// examine draws candidates for a group's vacant slots if some segment needs
// repair, and returns the segments whose repair falls to this node.
func (n *Node) examine(ctx context.Context, id protocol.GroupID) ([]*repairJob, error) {
	v := n.neighbours.Roll(id)
	if v == nil {
		return nil, nil
	}
	t := group.NewTally(v.Table.Slots(), v.View)
	needs, urgent := v.Needs(&t)
	waited := n.needed(v, needs)
	vacant := v.Table.Vacant(v.View, urgent)
	called := n.neighbours.CallSpares(id, vacant)
	if urgent {
		called = group.Set{} // waits for nobody
	}
	if !needs || !v.Accepted() || !n.isAlive(id) {
		return nil, nil
	}
	if !urgent && vacant.Count() > 0 && (waited < n.agreed() || waited < n.patience() && n.repairs.ahead.resting(id, n.neighbours.Now())) {
		return nil, nil
	}
	f, err := n.factsOf(ctx, id)
	if err != nil {
		return nil, err
	}
	n.draw(ctx, v, vacant.Without(called), f, urgent)
	if !urgent && waited < n.agreed()+n.cfg.Timing.RepairDay*3/4 && !n.allNamed(id, vacant) {
		return nil, nil // for shards that are made together, k are fetched once
	}
	w := n.weighing(v)
	w.takes = func(slot int, s protocol.SegmentID) bool { return len(n.takers(v, slot, s)) > 0 }
	var jobs []*repairJob
	for s := range f.grants {
		if n.repairs.failed.resting(kin{id, s}, n.neighbours.Now()) {
			continue
		}
		if j := n.mine(w, s, f); j != nil {
			jobs = append(jobs, j)
		}
	}
	slices.SortFunc(jobs, func(a, b *repairJob) int { return slices.Compare(a.segment[:], b.segment[:]) })
	return jobs, nil
}

// allNamed reports whether each of some slots has its candidate.
func (n *Node) allNamed(id protocol.GroupID, slots group.Set) bool {
	now := n.neighbours.Now()
	for slot := range protocol.MaxShards {
		if !slots.Has(slot) {
			continue
		}
		if _, named := n.nominees.at(place{id, slot}, now); !named {
			return false
		}
	}
	return true
}

// mine returns the job of a segment whose repair falls to this node now.
func (n *Node) mine(w *weighing, s protocol.SegmentID, f *groupFacts) *repairJob {
	v := w.weigh(s, w.Lacking(s))
	urgent := v.condition == group.Urgent
	few := 2*v.takers < v.missing.Count() && n.needed(w.Roll, true) < n.patience()
	if v.answer != repair.Mine || !urgent && few || n.arrives(w.Roll, s, v.missing, v.count) {
		return nil
	}
	return &repairJob{
		roll: w.Roll, facts: f, segment: s, missing: v.missing, urgent: urgent,
		work: repair.Work{
			Score: group.Endangered(w.decide.Profile, v.count, w.WasSafe(s)),
			Cost:  repair.Cost(w.decide.Profile.K, v.takers, f.shardSize(s, w.decide.Profile), true),
		},
	}
}

const (
	// repairPause is how long a repairer rests between two segments, so that others'
	// requests get their turn.
	repairPause = 10 * time.Millisecond
	// repairsAtOnce is how many segments are repaired at a time, where there is
	// memory for them: while the shards of one are put, those of others come.
	repairsAtOnce = 4
	// givesAtOnce is how many shards of one segment are put at a time.
	givesAtOnce = 4
)

// atOnce returns how many of a repairer's transfers go on at a time: on a line
// with a limit one, because together they would take as long, and each of them
// longer than its peer waits.
func (n *Node) atOnce(most int) int {
	if l := n.deal.line; l.Up != nil || l.Down != nil {
		return 1
	}
	return most
}
