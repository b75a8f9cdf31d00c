package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

const (
	// scrubRate is how many bytes a second a pass reads at least; it reads more
	// where it would not be done in half the time until the next one.
	scrubRate = 4 << 20
	// scrubLeast is what reading one thing counts for, in bytes: small ones
	// cost the disk a seek.
	scrubLeast = 64 << 10
	// scrubPause is how long one stretch of reading and its pause take.
	scrubPause = time.Second
	// scrubPatience is how many pauses in a row requests under way can cause:
	// a node that is never idle reads on slowly.
	scrubPatience = 10
	// scrubSave is how often the place of a pass is noted.
	scrubSave = 5 * time.Minute
)

// ScrubConfig says how the disk is read again and again, so that rot is found
// before an auditor finds it.
type ScrubConfig struct {
	// Rate is how many bytes a pass reads in a second; 0: 4 MiB, or as many as it
	// takes to be done in half of Timing.ScrubEvery. While requests are under way it
	// pauses.
	Rate int64
	// Load and Save keep at most 512 KiB over restarts: where a pass stands.
	// nil: each start begins anew. Load returns nil where nothing was saved.
	Load func() ([]byte, error)
	Save func([]byte) error
}

// ScrubStatus tells of the reading over of the disk. Times are RFC 3339 in UTC.
type ScrubStatus struct {
	Begun    string `json:"begun"`    // the pass under way; empty: none is
	Finished string `json:"finished"` // the last whole pass; empty: none yet
	Shards   int    `json:"shards"`   // read in the pass under way, or in the last one
	Bytes    int64  `json:"bytes"`    // read in it
	Damaged  int    `json:"damaged"`  // shards known to be damaged, and not mended since
}

// scrubber is one pass after the other over all that the store holds, in order
// of groups, segments and slots.
type scrubber struct {
	cfg   ScrubConfig
	every time.Duration // Timing.ScrubEvery

	once   sync.Mutex         // one stretch at a time; guards what follows
	groups []protocol.GroupID // of the pass, from the one being read on
	listed bool               // groups are known
	yields int                // pauses in a row for the sake of requests

	mu      sync.Mutex // guards what follows
	at      scrubPlace
	damaged map[storage.ShardKey]protocol.GroupID
	dirty   bool      // what is saved is out of date
	saved   time.Time // when
}

func newScrubber(cfg ScrubConfig, t Timing) *scrubber {
	return &scrubber{cfg: cfg, every: t.ScrubEvery, damaged: make(map[storage.ShardKey]protocol.GroupID)}
}

// scrubOnce reads one stretch of the disk, if a pass is due, and returns when
// to read on. It never waits itself.
func (n *Node) scrubOnce(ctx context.Context) (wait time.Duration, err error) {
	s := n.scrub
	s.once.Lock()
	defer s.once.Unlock()
	if wait := s.due(n.now()); wait > 0 {
		return wait, nil
	}
	if n.underWay.Load() > 0 && s.yields < scrubPatience {
		s.yields++
		return scrubPause, nil
	}
	s.yields = 0
	done, err := n.scrubStretch(ctx, s.budget(n.store.Usage().Used))
	if err != nil {
		return n.cfg.Timing.UpkeepEvery, errors.Join(fmt.Errorf("scrub: %w", err), s.save(n.now()))
	}
	if done {
		s.finish(n.now())
		n.log.Info("every stored byte was read again", "damaged", s.status().Damaged)
		return s.every, s.save(n.now())
	}
	if s.stale(n.now()) {
		err = s.save(n.now())
	}
	return scrubPause, err
}

// due returns how long it is until the next pass; one that is due begins.
func (s *scrubber) due(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.Begun != 0 {
		return 0
	}
	// A clock that was set back must not put it off for ever.
	if next := unix(s.at.Finished).Add(s.every); s.at.Finished != 0 && now.Before(next) && next.Sub(now) <= s.every {
		return next.Sub(now)
	}
	s.at = scrubPlace{Begun: now.Unix(), Finished: s.at.Finished}
	s.dirty = true
	return 0
}

// budget returns the bytes of one stretch.
func (s *scrubber) budget(used int64) int64 {
	rate := s.cfg.Rate
	if rate <= 0 {
		rate = max(scrubRate, used/max(1, int64(s.every/2/time.Second)))
	}
	return rate * int64(scrubPause/time.Second)
}

// finish ends a pass.
func (s *scrubber) finish(now time.Time) {
	s.groups, s.listed = nil, false
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = scrubPlace{Finished: now.Unix(), Shards: s.at.Shards, Bytes: s.at.Bytes}
	s.dirty = true
}

// scrubStretch reads on, budget bytes. done says that it has reached the end.
func (n *Node) scrubStretch(ctx context.Context, budget int64) (done bool, err error) {
	s := n.scrub
	if !s.listed {
		if err := n.scrubList(ctx); err != nil {
			return false, err
		}
	}
	for len(s.groups) > 0 {
		if budget, err = n.scrubGroup(ctx, s.groups[0], budget); err != nil || budget <= 0 {
			return false, err
		}
		s.groups = s.groups[1:]
	}
	return true, nil
}

// scrubList notes the groups that are still to be read. Groups that come
// meanwhile are left to the next pass.
func (n *Node) scrubList(ctx context.Context) error {
	s := n.scrub
	from := s.place()
	s.groups = nil
	for id, err := range n.store.Groups(ctx) {
		switch {
		case err != nil && n.elsewhere(err):
		case err != nil:
			return err
		case protocol.CompareIDs(protocol.Hash(id), from.Group) >= 0:
			s.groups = append(s.groups, id)
		}
	}
	s.listed = true
	return nil
}

// scrubGroup reads a group's facts and shards, from where the pass stands. It
// returns what is left of the budget; at 0 or less it is not done.
func (n *Node) scrubGroup(ctx context.Context, id protocol.GroupID, budget int64) (int64, error) {
	s := n.scrub
	from := s.place()
	if from.Group != protocol.Hash(id) {
		n.scrubFacts(ctx, id, &budget)
		from = s.enter(id)
	}
	for sh, err := range n.store.Shards(ctx, id) {
		if err != nil && n.elsewhere(err) {
			continue
		}
		if err != nil {
			return budget, err
		}
		if from.passed(sh.Key) {
			continue
		}
		if budget <= 0 {
			return budget, nil
		}
		if err := n.scrubShard(ctx, sh); err != nil {
			return budget, err
		}
		budget -= max(scrubLeast, sh.Size)
		s.advance(id, sh)
	}
	return max(budget, 1), nil
}

// scrubShard reads one shard and notes whether it is as it was stored.
func (n *Node) scrubShard(ctx context.Context, sh storage.ShardInfo) error {
	err := n.store.Verify(ctx, sh.Key)
	switch {
	case err == nil:
		n.shardMended(ctx, sh.Group, sh.Key)
	case errors.Is(err, storage.ErrCorrupt):
		n.shardDamaged(ctx, sh.Group, sh.Key, err)
	case errors.Is(err, storage.ErrNotFound): // deleted meanwhile
	case n.elsewhere(err):
	default:
		return err
	}
	return nil
}

// scrubFacts reads a group's facts. One that is damaged no longer counts as held, so
// that it is taken again when it is offered.
func (n *Node) scrubFacts(ctx context.Context, id protocol.GroupID, budget *int64) {
	damaged := false
	for f, err := range n.store.Facts(ctx, id) {
		damaged = n.damaged(id, err) || damaged
		*budget -= max(scrubLeast/16, int64(len(f.Bytes)))
	}
	if !damaged {
		return
	}
	n.dropNotes(ctx, id)
	g, release, err := n.groups.OpenTurn(ctx, id)
	if err != nil {
		return // it cannot be loaded: what is loaded later lacks the fact
	}
	defer release()
	n.groups.Forget(g)
}

// shardDamaged notes that a shard's bytes are not those that were stored: this
// node no longer says that it has the shard, and takes it again.
func (n *Node) shardDamaged(ctx context.Context, id protocol.GroupID, key storage.ShardKey, why error) {
	if !n.scrub.noteDamage(key, id) {
		return
	}
	n.log.Error("a shard is damaged on the disk; it is made again from other holders'", "group", id.Prefix(), "segment", key.Segment, "err", why)
	n.rejudge(ctx, id, key, true)
	select {
	case n.mending.wake <- struct{}{}:
	default:
	}
}

// shardMended notes that a shard is whole again, or gone.
func (n *Node) shardMended(ctx context.Context, id protocol.GroupID, key storage.ShardKey) {
	if n.scrub.forgetDamage(key) {
		n.rejudge(ctx, id, key, false)
	}
}

// rejudge brings a group's state, if it is loaded, up to date with what is
// known of a shard.
func (n *Node) rejudge(ctx context.Context, id protocol.GroupID, key storage.ShardKey, damaged bool) {
	if damaged {
		n.neighbours.LostOwn(id, key.Segment)
	} else {
		n.neighbours.GotOwn(id, key.Segment)
	}
	g, release, err := n.groups.Open(ctx, id)
	if err != nil {
		return // a later load asks the scrubber
	}
	defer release()
	g.Judge(key, damaged)
}

// scrubLoop reads the disk over at idle priority.
func (n *Node) scrubLoop(ctx context.Context) {
	for wait := n.rand.jitter(n.cfg.Timing.ScrubFirst); pause(ctx, wait, nil); {
		var err error
		if wait, err = n.scrubOnce(ctx); err != nil && ctx.Err() == nil {
			n.log.Warn("reading the disk over", "err", err)
		}
	}
	n.scrub.once.Lock()
	defer n.scrub.once.Unlock()
	if err := n.scrub.save(n.now()); err != nil {
		n.log.Warn("a restart will read again what was read", "err", err)
	}
}

// status tells how far the pass is.
func (s *scrubber) status() ScrubStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return ScrubStatus{
		Begun: timeText(s.at.Begun), Finished: timeText(s.at.Finished),
		Shards: s.at.Shards, Bytes: s.at.Bytes, Damaged: len(s.damaged),
	}
}

func timeText(seconds int64) string {
	if seconds == 0 {
		return ""
	}
	return unix(seconds).UTC().Format(time.RFC3339)
}
