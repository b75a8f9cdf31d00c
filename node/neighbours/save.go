package neighbours

import (
	"errors"
	"time"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Unsaved is a note that the store should have instead of another.
type Unsaved struct {
	Fact storage.Fact
	Old  []protocol.Hash // to be dropped
	Was  int             // bytes of the one before; 0: there was none
}

// Unsaved returns the notes that differ from what the store has, and believes
// them to be saved.
func (h *Register) Unsaved() (out []Unsaved, err error) {
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
		// The first group's note also tells the time on the watch.
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
func (g *seats) replace(out []Unsaved, f storage.Fact, err, before error) ([]Unsaved, error) {
	if err != nil {
		return out, errors.Join(before, err)
	}
	was := g.notes[f.Kind]
	id := f.ID()
	if id == was.ID && len(g.stale) == 0 {
		return out, before
	}
	v := Unsaved{Fact: f, Old: g.stale, Was: was.Size}
	if id != was.ID && was.Size > 0 {
		v.Old = append(v.Old, was.ID)
	}
	g.stale = nil
	g.notes[f.Kind] = note.Saved{ID: id, Size: len(f.Bytes)}
	return append(out, v), before
}

// Unsave takes back notes that the store did not keep.
func (h *Register) Unsave(list []Unsaved) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, v := range list {
		g := h.groups[v.Fact.Group]
		if g == nil {
			continue
		}
		g.stale = append(g.stale, v.Old...)
		delete(g.notes, v.Fact.Kind)
		g.dirty, g.relisted = true, true
		for _, p := range h.homed(g) {
			p.saved = liveness.Standing{}
		}
	}
}

// changed reports whether a standing that is noted next to a group is worth noting
// anew: what excuses or accuses the neighbour has changed, or its last answer is
// much later than the one noted. mu is held.
func (h *Register) changed(g *seats) bool {
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
