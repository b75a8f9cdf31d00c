package client

import (
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// groupIn notes a group of a network in an owner's journal.
func groupIn(t *testing.T, o *Owner, network string) protocol.GroupID {
	t.Helper()
	c := New(Config{Network: network, Owner: o})
	s, err := c.newGroupState(protocol.Profile{K: 1, R: 2, N: 3})
	if err == nil {
		err = o.saveGroup(s)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.id()
}

func newOwner(t *testing.T) *Owner {
	t.Helper()
	o, err := OpenOwner(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = o.Close() })
	return o
}

// A put that was cut off goes on in the network that has its segments, even if
// another put of the same file was begun in another network.
func TestUnfinishedIsOfItsNetwork(t *testing.T) {
	o := newOwner(t)
	state := putState{Path: "/a", Size: 1 << 20, MTime: 5, Inode: 7}
	for network, id := range map[string]putID{"here": {1}, "there": {2}} {
		g := groupIn(t, o, network)
		if err := o.beginPut(id, state); err != nil {
			t.Fatal(err)
		}
		for i := range int(id[0]) { // the put in the other network has more
			s := &safeState{Extent: protocol.Extent{Group: g, Segment: protocol.SegmentID{byte(i)}}, Acked: []bool{true}}
			if err := o.markSafe(id, i, s); err != nil {
				t.Fatal(err)
			}
		}
	}
	for network, want := range map[string]putID{"here": {1}, "there": {2}} {
		if u, err := o.find(state, network); err != nil || u == nil || u.id != want {
			t.Errorf("in %q: %+v, %v", network, u, err)
		}
	}
	if u, err := o.find(state, "nowhere"); u != nil || err != nil {
		t.Errorf("elsewhere: %+v, %v", u, err)
	}
}

// What PutAll stored in another network stays, whatever live says of it.
func TestPackedIsOfItsNetwork(t *testing.T) {
	o := newOwner(t)
	here, there := groupIn(t, o, "here"), groupIn(t, o, "there")
	held := []heldSegment{{Group: here, Segment: protocol.SegmentID{1}}, {Group: there, Segment: protocol.SegmentID{2}}}
	if err := o.notePack(putID{1}, 0, &packState{When: 1, Held: held}); err != nil {
		t.Fatal(err)
	}
	none := func(protocol.GroupID, protocol.SegmentID) bool { return false }
	d, err := o.deletePacked(putID{9}, none, "here", time.Unix(5, 0))
	if err != nil || len(d.Subjects) != 1 || d.Subjects[0].Group != here {
		t.Fatalf("%+v, %v", d, err)
	}
	if keeping, err := o.keepingGroups(); err != nil || keeping[here] || !keeping[there] {
		t.Errorf("keeping %v, %v", keeping, err)
	}
}
