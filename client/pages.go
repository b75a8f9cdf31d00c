package client

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds of one file's manifest, which may be written to exhaust its readers.
const (
	maxExtents  = 1 << 18 // of content: a terabyte with the smallest full segments, more with others
	maxPages    = 1 << 12 // of all levels: 16 times what a writer needs for maxExtents
	pagesAtOnce = 4       // that are read at a time
)

// content returns the extents of the file's content, from all pages.
func (f *File) content(ctx context.Context, m *protocol.Manifest) ([]protocol.Extent, error) {
	level := m.Extents
	for depth := m.Depth - 1; depth >= 0; depth-- {
		f.records = append(f.records, level...)
		most := maxExtents
		if depth > 0 {
			most = maxPages - (len(f.records) - 1)
		}
		var err error
		if level, err = f.pages(ctx, depth, level, most); err != nil {
			return nil, fmt.Errorf("read manifest: %w", err)
		}
	}
	if len(level) > maxExtents {
		return nil, fmt.Errorf("read manifest: %w", tooMany(maxExtents))
	}
	return level, nil
}

func tooMany(most int) error { return fmt.Errorf("more than %d extents: %w", most, ErrDamaged) }

// pages reads one level of pages and returns the extents that they name, at most
// most of them. They are counted as pages come in, and the first extent too many
// ends the reading.
func (f *File) pages(ctx context.Context, depth int, level []protocol.Extent, most int) ([]protocol.Extent, error) {
	if err := distinct(level); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	found := 0
	pages := make([][]protocol.Extent, len(level))
	take := func(i int, extents []protocol.Extent) error {
		mu.Lock()
		defer mu.Unlock()
		if found += len(extents); found > most {
			return tooMany(most)
		}
		pages[i] = extents
		return nil
	}
	var wg sync.WaitGroup
	turns := make(chan struct{}, pagesAtOnce)
	for i := range level {
		turns <- struct{}{}
		if ctx.Err() != nil {
			break
		}
		wg.Go(func() {
			defer func() { <-turns }()
			extents, err := f.page(ctx, depth, &level[i])
			if err == nil {
				err = take(i, extents)
			}
			if err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return slices.Concat(pages...), nil
}

// distinct refuses a level that names a page twice: no writer does, and one page
// could stand for any number of them.
func distinct(level []protocol.Extent) error {
	if len(level) > maxPages {
		return fmt.Errorf("more than %d pages: %w", maxPages, ErrDamaged)
	}
	type place struct {
		segment protocol.SegmentID
		offset  int64
	}
	seen := make(map[place]bool, len(level))
	for i := range level {
		at := place{level[i].Segment, level[i].Offset}
		if seen[at] {
			return fmt.Errorf("a page is named twice: %w", ErrDamaged)
		}
		seen[at] = true
	}
	return nil
}

// page reads one page and returns its extents.
func (f *File) page(ctx context.Context, depth int, e *protocol.Extent) ([]protocol.Extent, error) {
	b, err := f.c.readExtent(ctx, e, nil)
	if err != nil {
		return nil, fmt.Errorf("read a page: %w", err)
	}
	p, err := protocol.ParsePage(b)
	switch {
	case err != nil:
	case p.Depth != depth:
		err = fmt.Errorf("page of depth %d at %d", p.Depth, depth)
	case len(p.Extents) == 0:
		err = fmt.Errorf("page without extents")
	}
	if err != nil {
		return nil, fmt.Errorf("read a page: %w: %w", ErrDamaged, err)
	}
	return p.Extents, nil
}
