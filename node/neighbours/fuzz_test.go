package neighbours

import (
	"bytes"
	"testing"

	"github.com/cairnstore/cairn/lab/fuzz"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// FuzzNotes reads what a damaged disk may give back as notes: nothing of it
// panics, what is read is what would be written, and a group opens with it.
func FuzzNotes(f *testing.F) {
	for _, v := range notesForFuzz(f) {
		f.Add(v.Kind, v.Bytes)
	}
	v, err := note.New(protocol.GroupID{1}, note.Lists, listsNote{V: viewVersion, At: 7, Segments: []protocol.SegmentID{{8}, {9}}, Holders: []listNote{
		{Slot: 1, Peer: []byte{}, Lacks: []byte{2}}, {Slot: 2, Peer: []byte(idFor(1)), Told: true, Lacks: []byte{}},
	}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(v.Kind, v.Bytes)
	fuzz.Run2(f, func(t *fuzz.T, kind uint8, b []byte) {
		t.Frugal(uint64(1<<20+200*len(b)), func() { readNote(t, protocol.GroupID{1}, kind, b) })
	})
}

func readNote(t testing.TB, g protocol.GroupID, kind uint8, b []byte) {
	var s Survey
	s.Take(storage.Fact{Group: g, Kind: kind, Bytes: b})
	if len(s.stale) > 0 {
		return // of another kind, or it cannot be read
	}
	newView(0, profile, 1).Open(g, &protocol.Table{Profile: profile, Slots: make([][]byte, profile.N)}, 0, &s)
	if v, err := parseSeatsNote(b); err == nil {
		if again, err := note.New(g, note.Seats, v); err != nil || !bytes.Equal(again.Bytes, b) {
			t.Fatal("a note of seats reads back otherwise")
		}
	}
	if v, err := parseListsNote(b); err == nil {
		if again, err := note.New(g, note.Lists, v); err != nil || !bytes.Equal(again.Bytes, b) {
			t.Fatal("a note of lists reads back otherwise")
		}
	}
	if v, err := parseStandingsNote(b); err == nil {
		if again, err := note.New(g, note.Standings, v); err != nil || !bytes.Equal(again.Bytes, b) {
			t.Fatal("a note of standings reads back otherwise")
		}
	}
}
