package client

import (
	"errors"
	"testing"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// One deletion may be told by a command and beside it, by both from what the journal
// had when they began. Whoever ends last takes back nothing that the other noted, nor
// begins anew what the other ended.
func TestReceiptsOfTwo(t *testing.T) {
	o := newOwner(t)
	g := groupIn(t, o, "n")
	id := putID{1}
	link := protocol.Link{Pointer: protocol.PointerID(id)}
	u := &uploadState{Home: g.Prefix(), Name: "a", When: 1}
	if err := o.finishPut(putID{2}, link.Pointer, u); err != nil {
		t.Fatal(err)
	}
	begun := func() *deleteState {
		d, err := o.deleteUpload(link.Pointer, "n", time.Unix(5, 0))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	one, other, late := begun(), begun(), begun()
	one.Told, one.Enough = []toldGroup{{Group: g, Slots: []bool{true, true, false}}}, true
	other.Told = []toldGroup{{Group: g, Slots: []bool{false, false, true}}}
	for _, d := range []*deleteState{one, other} {
		if err := o.saveReceipts(id, d, false); err != nil {
			t.Fatal(err)
		}
	}
	if d := begun(); countTrue(d.told(g, 3)) != 3 || !d.Enough || !other.Enough {
		t.Errorf("noted: %+v; told: %+v", d, other)
	}
	if err := o.saveReceipts(id, one, true); err != nil {
		t.Fatal(err)
	}
	if err := o.saveReceipts(id, late, false); err != nil || !late.Enough {
		t.Fatalf("%+v, %v", late, err)
	}
	if list, err := o.Uploads(); err != nil || len(list) != 0 {
		t.Errorf("listed: %+v, %v", list, err)
	}
	if _, err := o.deleteUpload(link.Pointer, "n", time.Unix(5, 0)); !errors.Is(err, ErrDeleted) {
		t.Errorf("again: %v", err)
	}
}
