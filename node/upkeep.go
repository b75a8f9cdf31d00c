package node

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// frees knows the segments that are held and deleted, until their bytes are
// freed. It is filled from notes in the store.
type frees struct {
	mu sync.Mutex
	m  map[kin]freeing
}

// kin is a segment in one group: anybody who knows a segment may put it into a
// group of their own as well, and delete it only there.
type kin struct {
	group   protocol.GroupID
	segment protocol.SegmentID
}

// freeing says when a deleted segment's bytes go.
type freeing struct {
	due  time.Time
	note protocol.Hash
}

func newFrees() *frees { return &frees{m: make(map[kin]freeing)} }

func (f *frees) add(s kin, v freeing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.m[s]; !ok {
		f.m[s] = v
	}
}

// has reports whether a segment is deleted and its bytes are still here.
func (f *frees) has(s kin) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.m[s]
	return ok
}

// due returns what is to be freed at now.
func (f *frees) due(now time.Time) map[kin]freeing {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[kin]freeing)
	for s, v := range f.m {
		if !now.Before(v.due) {
			out[s] = v
		}
	}
	return out
}

// count returns how many segments wait to be freed.
func (f *frees) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.m)
}

func (f *frees) remove(s kin) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.m, s)
}

// freeLater notes, durably, that a held segment is deleted.
func (n *Node) freeLater(ctx context.Context, g protocol.GroupID, s protocol.SegmentID) error {
	nt, f, err := n.deletionNote(g, s)
	if err != nil {
		return err
	}
	if err := n.store.PutFact(context.WithoutCancel(ctx), nt); err != nil {
		return n.hideStore("note a deletion", err)
	}
	n.frees.add(kin{g, s}, f)
	return nil
}

// upkeepOnce frees what is due, deleted or no longer wanted by its owner, and
// lets reservations and newcomers age.
func (n *Node) upkeepOnce(ctx context.Context) error {
	now := n.now()
	for _, id := range n.neighbours.TakeMoved() {
		n.reannounce(id)
	}
	n.quota.Age(now)
	n.donors.Forget(now)
	errs := []error{n.leaseOnce(ctx), n.leaveVain(ctx), n.deal.save(now, false)}
	for s, f := range n.frees.due(now) {
		if err := n.free(ctx, s, f); err != nil {
			errs = append(errs, fmt.Errorf("free segment %s: %w", s.segment, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// free removes a deleted segment's shard, then the note that asked for it.
func (n *Node) free(ctx context.Context, s kin, f freeing) error {
	g, release, err := n.groups.Open(ctx, s.group)
	if err != nil {
		return err
	}
	defer release()
	size, err := n.removeShard(ctx, g, s.segment)
	if err != nil {
		return err
	}
	if err := n.store.DeleteFact(ctx, s.group, f.note); err != nil {
		return err
	}
	n.frees.remove(s)
	n.quota.Returned(s.group, size)
	return nil
}

// removeShard removes a segment's shard and returns what it was charged. One
// that cannot be read any more goes as well.
func (n *Node) removeShard(ctx context.Context, g *truth.Group, s protocol.SegmentID) (int64, error) {
	key, profile, ok := g.KeyOf(s)
	if !ok {
		return 0, nil
	}
	var size int64
	sh, err := n.store.OpenShard(ctx, key)
	switch {
	case err == nil:
		size = shardCost(sh.Info().Size, profile.N)
		_ = sh.Close()
	case errors.Is(err, storage.ErrNotFound):
	case !errors.Is(err, storage.ErrCorrupt):
		return 0, err
	}
	if err := n.store.DeleteShard(ctx, key); err != nil {
		return 0, err
	}
	g.Lose(s)
	n.shardMended(ctx, g.ID, key)
	return size, nil
}
