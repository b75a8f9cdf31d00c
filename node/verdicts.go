package node

import (
	"context"
	"sync"

	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// verdicts are the segments whose descriptors this node has proved false: the shards
// made from k verified ones do not fit their roots. That is final, over a restart,
// too, or each run of a node would fetch k shards to find it out again.
type verdicts struct {
	mu sync.Mutex
	m  map[kin]protocol.Hash // name of the note
}

func newVerdicts() *verdicts { return &verdicts{m: make(map[kin]protocol.Hash)} }

// verdict is the note of one.
type verdict struct {
	Segment protocol.SegmentID `cbor:"segment"`
}

// has reports whether a segment's descriptor was proved false.
func (v *verdicts) has(s kin) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, ok := v.m[s]
	return ok
}

// of returns a group's segments whose descriptors were proved false.
func (v *verdicts) of(g protocol.GroupID) (out []protocol.SegmentID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := range v.m {
		if s.group == g {
			out = append(out, s.segment)
		}
	}
	return out
}

// add notes a verdict that is, or is about to be, stored under a name.
func (v *verdicts) add(s kin, note protocol.Hash) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.m[s] = note
}

// drop forgets a segment that its owner deleted, and returns the note to be
// dropped with it.
func (v *verdicts) drop(s kin) (note protocol.Hash, was bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	note, was = v.m[s]
	delete(v.m, s)
	return note, was
}

// dropGroup forgets a group that is no longer held.
func (v *verdicts) dropGroup(g protocol.GroupID) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for s := range v.m {
		if s.group == g {
			delete(v.m, s)
		}
	}
}

// restore takes a stored note up again.
func (v *verdicts) restore(f storage.Fact) {
	var said verdict
	if err := protocol.Decode("note", f.Bytes, &said); err == nil {
		v.add(kin{f.Group, said.Segment}, f.ID())
	}
}

// condemn notes that a segment's descriptor was proved false. Where the disk
// does not take the note the verdict holds for this run.
func (n *Node) condemn(ctx context.Context, s kin) {
	f, err := note.New(s.group, note.False, verdict{s.segment})
	n.verdicts.add(s, f.ID())
	if err == nil {
		err = n.store.PutFact(context.WithoutCancel(ctx), f)
	}
	if err != nil {
		n.log.Warn("a verdict is not stored", "group", s.group.Prefix(), "segment", s.segment, "err", err)
	}
}
