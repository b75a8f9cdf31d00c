package node

import (
	"sync"
	"time"
)

// rests remembers, by name, what was tried in vain, so that it is not tried again at
// every look, but only after a time on the watch. If something is forgotten for want
// of room it is tried too early, nothing worse.
type rests[K comparable] struct {
	mu sync.Mutex
	m  map[K]time.Duration
}

// maxRests bounds what one rests remembers.
const maxRests = 1 << 14

func newRests[K comparable]() *rests[K] { return &rests[K]{m: make(map[K]time.Duration)} }

// until lets a thing rest.
func (r *rests[K]) until(k K, at, now time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.m) >= maxRests {
		for old, t := range r.m {
			if t <= now {
				delete(r.m, old)
			}
		}
	}
	if len(r.m) < maxRests {
		r.m[k] = at
	}
}

// once lets a thing rest if it has not rested before, as far as is remembered.
func (r *rests[K]) once(k K, at, now time.Duration) {
	r.mu.Lock()
	_, known := r.m[k]
	r.mu.Unlock()
	if !known {
		r.until(k, at, now)
	}
}

// resting reports whether a thing is to be left alone now.
func (r *rests[K]) resting(k K, now time.Duration) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, ok := r.m[k]
	return ok && now < at
}
