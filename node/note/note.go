// Package note is what a node writes down for itself next to a group's facts:
// in the same store, named as facts are, and never sent.
package note

import (
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// The kinds of notes. protocol's kinds of facts count up from 1.
const (
	Origin    = 0xf0 // when the group came here, and from where
	Deleted   = 0xf1 // since when a segment waits to be freed
	Nominated = 0xf2 // for which slot this node was nominated
	Seats     = 0xf3 // who holds which slot, as this node believes
	Standings = 0xf4 // how neighbours stand
	Handover  = 0xf5 // the handover by which this node got its slot
	Handing   = 0xf6 // to which peer this node hands its slot over
	False     = 0xf7 // that a segment's descriptor is proved false
	Lists     = 0xf8 // what holders say that they lack
)

// Is reports whether a stored fact is a note.
func Is(kind uint8) bool { return kind >= Origin }

// New makes a group's note of a kind. Errors: those of protocol.Encode.
func New(g protocol.GroupID, kind uint8, v any) (storage.Fact, error) {
	b, err := protocol.Encode(v)
	return storage.Fact{Group: g, Kind: kind, Bytes: b}, err
}

// Saved names a note that the store has; the zero value: there is none.
type Saved struct {
	ID   protocol.Hash
	Size int // bytes
}

// SavedAs names a note.
func SavedAs(f storage.Fact) Saved { return Saved{f.ID(), len(f.Bytes)} }
