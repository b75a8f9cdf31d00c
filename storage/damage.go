package storage

import "sync"

// maxDamage bounds how many damaged records are remembered.
const maxDamage = 1 << 16

// damage remembers which records were found damaged, so that the next put of one
// replaces it.
type damage struct {
	mu   sync.Mutex
	seen map[string]struct{}
}

func (d *damage) add(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen == nil {
		d.seen = make(map[string]struct{})
	}
	if len(d.seen) < maxDamage {
		d.seen[what] = struct{}{}
	}
}

func (d *damage) has(what string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.seen[what]
	return ok
}

func (d *damage) forget(what string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.seen, what)
}
