package client

import (
	"errors"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage/kv"
)

// unfinishedPut notes a put that has granted segments in a group.
func unfinishedPut(t *testing.T, o *Owner, id putID, segments ...heldSegment) {
	t.Helper()
	err := o.beginPut(id, putState{Name: "a", Size: 5})
	for _, s := range segments {
		err = errors.Join(err, o.db.Update(func(tx *kv.Tx) error { return tx.Put(bucketSent, sentKey(id, s.Segment), s.Group[:]) }))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// An unfinished put of which nobody is to be told anything, because it has stored
// nothing or an upload needs all of it, is over when it is deleted: it does not stay
// in the journal as a deletion that is under way.
func TestDeletePutWithNothingToTell(t *testing.T) {
	for name, granted := range map[string]int{"nothing stored": 0, "an upload needs it": 1} {
		o := newOwner(t)
		id, held := putID{1}, heldSegment{Group: groupIn(t, o, "here"), Segment: protocol.SegmentID{3}}
		if err := o.finishPut(putID{9}, protocol.PointerID{2}, &uploadState{Name: "b", Held: []heldSegment{held}}); err != nil {
			t.Fatal(err)
		}
		unfinishedPut(t, o, id, []heldSegment{held}[:granted]...)
		if _, d, err := o.deletePut(id.text(), "here", time.Unix(5, 0)); err != nil || len(d.Subjects) != 0 {
			t.Fatalf("%s: %+v, %v", name, d, err)
		}
		if list, err := o.deletions(); err != nil || len(list) != 0 {
			t.Errorf("%s: under way: %v, %v", name, list, err)
		}
		if list, err := o.Uploads(); err != nil || len(list) != 1 || list[0].Name != "b" {
			t.Errorf("%s: listed: %+v, %v", name, list, err)
		}
		if _, _, err := o.deletePut(id.text(), "here", time.Unix(6, 0)); !errors.Is(err, ErrDeleted) {
			t.Errorf("%s: again: %v", name, err)
		}
		if at, err := o.UnfinishedDeletedAt(id.text()); err != nil || at.Unix() != 5 {
			t.Errorf("%s: deleted at %v, %v", name, at, err)
		}
	}
}

// A deletion without subjects that an earlier version noted is no longer listed.
func TestDeletionWithoutSubjectsIsNotListed(t *testing.T) {
	o := newOwner(t)
	id := putID{1}
	if err := o.db.Update(func(tx *kv.Tx) error { return putDelete(tx, id[:], &deleteState{Name: "a", Since: 5}) }); err != nil {
		t.Fatal(err)
	}
	if list, err := o.Uploads(); err != nil || len(list) != 0 {
		t.Errorf("listed: %+v, %v", list, err)
	}
}
