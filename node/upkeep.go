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
	// deleteDelay is how long a deleted segment's bytes stay on disk: an
	// owner's mistake or a stolen device can be noticed by then.
	deleteDelay = 7 * 24 * time.Hour
	// upkeepEvery is how often due work is looked for.
	upkeepEvery = time.Minute
)

// frees knows the segments that are held and deleted, until their bytes are
// freed. It is filled from notes in the store.
type frees struct {
	mu sync.Mutex
	m  map[protocol.SegmentID]freeing
}

// freeing says when a deleted segment's bytes go.
type freeing struct {
	group protocol.GroupID
	due   time.Time
	note  protocol.Hash
}

func newFrees() *frees { return &frees{m: make(map[protocol.SegmentID]freeing)} }

func (f *frees) add(s protocol.SegmentID, v freeing) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.m[s]; !ok {
		f.m[s] = v
	}
}

// has reports whether a segment is deleted and its bytes are still here.
func (f *frees) has(s protocol.SegmentID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, ok := f.m[s]
	return ok
}

// due returns what is to be freed at now.
func (f *frees) due(now time.Time) map[protocol.SegmentID]freeing {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make(map[protocol.SegmentID]freeing)
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

func (f *frees) remove(s protocol.SegmentID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.m, s)
}

// freeLater notes, durably, that a held segment is deleted.
func (n *Node) freeLater(ctx context.Context, g protocol.GroupID, s protocol.SegmentID) error {
	nt, f, err := deletionNote(g, s, n.now())
	if err != nil {
		return err
	}
	if err := n.store.PutFact(context.WithoutCancel(ctx), nt); err != nil {
		return n.hideStore("note a deletion", err)
	}
	n.frees.add(s, f)
	return nil
}

// upkeepOnce frees what is due, and lets reservations and newcomers age.
func (n *Node) upkeepOnce(ctx context.Context) error {
	now := n.now()
	n.book.age(now)
	n.donors.forget(now)
	var errs []error
	for s, f := range n.frees.due(now) {
		if err := n.free(ctx, s, f); err != nil {
			errs = append(errs, fmt.Errorf("free segment %s: %w", s, err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	return errors.Join(errs...)
}

// free removes a deleted segment's shard, then the note that asked for it.
func (n *Node) free(ctx context.Context, s protocol.SegmentID, f freeing) error {
	g, release, err := n.groups.open(ctx, f.group)
	if err != nil {
		return err
	}
	defer release()
	size, err := n.removeShard(ctx, g, s)
	if err != nil {
		return err
	}
	if err := n.store.DeleteFact(ctx, f.group, f.note); err != nil {
		return err
	}
	n.frees.remove(s)
	n.book.returned(f.group, size)
	return nil
}

// removeShard removes a segment's shard and returns what it was charged.
func (n *Node) removeShard(ctx context.Context, g *groupState, s protocol.SegmentID) (int64, error) {
	key, err := n.store.Find(ctx, s)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	sh, err := n.store.OpenShard(ctx, key)
	if err != nil {
		return 0, err
	}
	info := sh.Info()
	_ = sh.Close()
	if info.Group != g.id {
		return 0, nil
	}
	if err := n.store.DeleteShard(ctx, key); err != nil {
		return 0, err
	}
	g.lose(s)
	size := 1
	if _, t, err := g.founded(); err == nil {
		size = t.Profile.N
	}
	return shardCost(info.Size, size), nil
}
