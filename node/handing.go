package node

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// handings are the slots that this node hands over.
type handings struct {
	mu sync.Mutex
	m  map[protocol.GroupID]*handing
}

// handing is how far one slot is on its way. A restart goes on from what is noted on
// the disk; all else belongs to the goroutine that hands the slot over.
type handing struct {
	handingNote
	note note.Saved

	proved  bool          // the successor has proved some of what it was brought
	failing bool          // the successor does not do what it should
	failed  time.Duration // since when, on the watch
	next    time.Duration // when the members are asked again, on the watch
	wait    time.Duration // until then
	again   time.Duration // when the successor is given the handover again, on the watch
}

type handingNote struct {
	Successor []byte `cbor:"successor"` // peer ID; empty: none is drawn
	Envelope  []byte `cbor:"envelope"`  // its peer record
	Since     int64  `cbor:"since"`     // Unix seconds: when the stage was reached
	Stage     int    `cbor:"stage"`
}

// The stages of a handing, each noted before what follows is done.
const (
	handingNew   = 0 // nobody is drawn
	handingDrawn = 1 // the successor took the nomination, and is brought the shards
	handingGiven = 2 // it has all, and the handover: it asks the members to be let in
	handingOver  = 3 // the members know it for the holder: what is here is to be freed
)

// sound reports whether a note is one that this node would have written.
func (v *handingNote) sound() bool {
	drawn := v.Stage == handingDrawn || v.Stage == handingGiven
	return v.Stage >= handingNew && v.Stage <= handingOver && (!drawn || peer.ID(v.Successor).Validate() == nil)
}

func (h *handing) successor() peer.ID { return peer.ID(h.Successor) }

func newHandings() *handings { return &handings{m: make(map[protocol.GroupID]*handing)} }

// get returns a group's handing, made if there is none.
func (l *handings) get(g protocol.GroupID) *handing {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.m[g]
	if h == nil {
		h = new(handing)
		l.m[g] = h
	}
	return h
}

// given returns the groups whose handovers were given: these are finished
// whatever the donor says later, because a handover cannot be taken back.
func (l *handings) given() map[protocol.GroupID]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[protocol.GroupID]bool)
	for g, h := range l.m {
		if h.Stage >= handingGiven {
			out[g] = true
		}
	}
	return out
}

func (l *handings) drop(g protocol.GroupID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.m, g)
}

// restore takes a stored note; of two the one that is further on counts.
func (l *handings) restore(f storage.Fact) {
	var v handingNote
	if err := protocol.Decode("note", f.Bytes, &v); err != nil || !v.sound() {
		return // damaged: it begins anew
	}
	h := l.get(f.Group)
	l.mu.Lock()
	defer l.mu.Unlock()
	if v.Stage >= h.Stage {
		h.handingNote, h.note = v, note.SavedAs(f)
	}
}

// noteHanding makes a stage durable, in place of the one before. A disk that is
// full to its last byte has no room even for that: then a restart draws anew.
func (n *Node) noteHanding(ctx context.Context, id protocol.GroupID, h *handing, v handingNote) error {
	v.Since = n.now().Unix()
	f, err := note.New(id, note.Handing, v)
	if err != nil {
		return err
	}
	switch err := n.store.PutFact(ctx, f); {
	case errors.Is(err, storage.ErrFull):
		n.log.Debug("no room to note to whom a slot is handed over", "group", id.Prefix())
		n.handings.set(h, v, note.Saved{})
		return nil
	case err != nil:
		return err
	}
	was := h.note
	n.handings.set(h, v, note.SavedAs(f))
	n.quota.Returned(id, -factCost(len(f.Bytes)))
	if was.Size > 0 && was.ID != f.ID() {
		n.dropFacts(ctx, id, []protocol.Hash{was.ID})
		n.quota.Returned(id, noteCost(was.Size))
	}
	return nil
}

func (l *handings) set(h *handing, v handingNote, saved note.Saved) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h.handingNote, h.note = v, saved
	h.proved, h.failing, h.next, h.wait = false, false, 0, 0
}
