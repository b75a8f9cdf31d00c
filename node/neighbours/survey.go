package neighbours

import (
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// Survey gathers what a survey finds of a group's seats.
type Survey struct {
	Spread    float64 // 0 … 1, drawn for the group
	Granted   bool
	Held      int // segments of which a shard is here, until the facts are read
	seats     *seatsNote
	lists     *listsNote
	standings *standingsNote
	notes     map[uint8]note.Saved
	stale     []protocol.Hash
}

// Take keeps the later of two notes of a kind; the other no longer counts.
func (v *Survey) Take(f storage.Fact) {
	later := false
	switch f.Kind {
	case note.Seats:
		n, err := parseSeatsNote(f.Bytes)
		if later = err == nil && (v.seats == nil || n.At >= v.seats.At); later {
			v.seats = n
		}
	case note.Lists:
		n, err := parseListsNote(f.Bytes)
		if later = err == nil && (v.lists == nil || n.At >= v.lists.At); later {
			v.lists = n
		}
	case note.Standings:
		n, err := parseStandingsNote(f.Bytes)
		if later = err == nil && (v.standings == nil || n.Watch.Now >= v.standings.Watch.Now); later {
			v.standings = n
		}
	}
	if !later {
		v.stale = append(v.stale, f.ID())
		return
	}
	if was, ok := v.notes[f.Kind]; ok {
		v.stale = append(v.stale, was.ID)
	}
	if v.notes == nil {
		v.notes = make(map[uint8]note.Saved)
	}
	v.notes[f.Kind] = note.SavedAs(f)
}
