package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// unsavedNote is a note that the store should have instead of another.
type unsavedNote struct {
	fact storage.Fact
	old  []protocol.Hash // to be dropped
	was  int             // bytes of the one before; 0: there was none
}

const (
	saveBatch  = 256 // notes made durable at once
	saveAtOnce = 8   // notes dropped at once
)

// saveViews notes on the disk what is known of groups and neighbours, as far
// as it has changed. In haste it leaves the notes that count no more to the
// next time.
func (n *Node) saveViews(ctx context.Context, haste bool) error {
	list, err := n.neighbours.unsaved()
	for len(list) > 0 && err == nil {
		batch := list[:min(len(list), saveBatch)]
		list = list[len(batch):]
		if err = n.saveBatch(ctx, batch, haste); err != nil {
			n.neighbours.unsave(append(batch, list...))
		}
	}
	if err != nil {
		return fmt.Errorf("note what is known of neighbours: %w", err)
	}
	return nil
}

func (n *Node) saveBatch(ctx context.Context, batch []unsavedNote, haste bool) error {
	facts := make([]storage.Fact, len(batch))
	for i := range batch {
		facts[i] = batch[i].fact
	}
	if err := n.store.PutFact(ctx, facts...); err != nil {
		return err
	}
	for _, v := range batch {
		n.book.returned(v.fact.Group, noteCost(v.was)-noteCost(len(v.fact.Bytes)))
		if _, _, held := n.neighbours.slotsOf(v.fact.Group); !held { // it was freed meanwhile
			n.dropFacts(ctx, v.fact.Group, []protocol.Hash{v.fact.ID()})
		}
	}
	if haste {
		return nil
	}
	var drops errgroup.Group
	drops.SetLimit(saveAtOnce)
	for _, v := range batch {
		drops.Go(func() error {
			n.dropFacts(ctx, v.fact.Group, v.old)
			return nil
		})
	}
	return drops.Wait()
}

// unsaved returns the notes that differ from what the store has, and believes
// them to be saved.
func (h *neighbours) unsaved() (out []unsavedNote, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := h.moment()
	first := true
	for _, id := range h.order() {
		g := h.groups[id]
		if g.dirty || len(g.stale) > 0 {
			f, e := g.note(at)
			out, err = g.replace(out, f, e, err)
			g.dirty = false
		}
		if g.relisted {
			f, e := g.noteLists(at)
			out, err = g.replace(out, f, e, err)
			g.relisted = false
		}
		// The first group's tells how late it is on the watch.
		if first || h.changed(g) {
			f, e := h.noteStandings(g)
			out, err = g.replace(out, f, e, err)
			for _, p := range h.homed(g) {
				p.saved = p.standing
			}
		}
		first = false
	}
	return out, err
}

// replace adds a note to those to be saved, unless the store has just this one.
func (g *seats) replace(out []unsavedNote, f storage.Fact, err, before error) ([]unsavedNote, error) {
	if err != nil {
		return out, errors.Join(before, err)
	}
	was := g.notes[f.Kind]
	id := f.ID()
	if id == was.ID && len(g.stale) == 0 {
		return out, before
	}
	v := unsavedNote{fact: f, old: g.stale, was: was.Size}
	if id != was.ID && was.Size > 0 {
		v.old = append(v.old, was.ID)
	}
	g.stale = nil
	g.notes[f.Kind] = note.Saved{ID: id, Size: len(f.Bytes)}
	return append(out, v), before
}

// unsave takes notes back that the store did not keep.
func (h *neighbours) unsave(list []unsavedNote) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range list {
		g := h.groups[v.fact.Group]
		if g == nil {
			continue
		}
		g.stale = append(g.stale, v.old...)
		delete(g.notes, v.fact.Kind)
		g.dirty, g.relisted = true, true
		for _, p := range h.homed(g) {
			p.saved = liveness.Standing{}
		}
	}
}

// changed reports whether a neighbour's standing, of those that are noted
// beside a group, is worth noting: what excuses or accuses it, or an answer
// much later than the one noted. mu is held.
func (h *neighbours) changed(g *seats) bool {
	for _, p := range h.homed(g) {
		a, b := p.standing, p.saved
		if (a.Tries > 0) != (b.Tries > 0) || a.Heard != b.Heard || a.Since != b.Since ||
			a.AwayUntil/time.Hour != b.AwayUntil/time.Hour || a.SuspendedUntil/time.Hour != b.SuspendedUntil/time.Hour ||
			a.HeardAt-b.HeardAt > h.set.AbsentAfter || a.Latest-b.Latest > h.set.AbsentAfter/4 {
			return true
		}
	}
	return false
}
