package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cairnstore/cairn/protocol"
)

// TestHostilePages opens links that were made to exhaust their readers: each is
// refused before much of it is read.
func TestHostilePages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 901, protocol.Profile{K: 1, R: 1, N: 1}, 1000, 0)
		w.announce()
		const per = 1500 // fit in a page
		full := slices.Repeat(w.extents[:1], per)
		seq := int64(2)
		try := func(name, says string, most int, m *protocol.Manifest) {
			t.Helper()
			m.Name, m.Size = "bomb", 1
			w.republish(seq, m)
			seq++
			w.resetGets()
			_, err := w.newClient().Open(t.Context(), w.link)
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v", name, err)
			}
			if got := w.holders[0].gets; got > most {
				t.Errorf("%s: %d requests for bytes, where %d suffice", name, got, most)
			}
		}
		page := w.page(0, full)
		try("one page many times", "named twice", 4, &protocol.Manifest{Depth: 1, Extents: slices.Repeat([]protocol.Extent{page}, per)})
		try("an empty page", "without extents", 8, &protocol.Manifest{Depth: 1, Extents: []protocol.Extent{w.page(0, []protocol.Extent{})}})

		const needed = maxExtents/per + 1
		var many []protocol.Extent
		for range needed + 25 {
			many = append(many, w.page(0, full))
		}
		try("more extents than any file has", "more than 262144 extents", 2*(needed+pagesAtOnce)+4, &protocol.Manifest{Depth: 1, Extents: many})

		var above []protocol.Extent
		for range maxPages/per + 1 {
			above = append(above, w.page(1, full))
		}
		try("more pages than any file has", "more than", 2*len(above)+4, &protocol.Manifest{Depth: 2, Extents: above})
	})
}

// page stores a page of extents.
func (w *world) page(depth int, extents []protocol.Extent) protocol.Extent {
	w.t.Helper()
	b, err := (&protocol.Page{Depth: depth, Extents: extents}).Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	return w.store(b, 0)[0]
}
