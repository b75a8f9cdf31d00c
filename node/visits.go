package node

import (
	"errors"
	"sync"
	"time"
)

// visits are the sessions under way.
type visits struct {
	mu     sync.Mutex
	open   map[*session]struct{}
	closed bool
	empty  chan struct{} // closed once closed is set and no session is left
}

func newVisits() *visits {
	return &visits{open: make(map[*session]struct{}), empty: make(chan struct{})}
}

func (w *visits) enter(v *session) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.open[v] = struct{}{}
	return true
}

func (w *visits) leave(v *session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.open, v)
	if w.closed && len(w.open) == 0 {
		close(w.empty)
	}
}

var errUnfinished = errors.New("requests were under way")

// stop ends all sessions, those with a request under way after it, but none
// later than patience from now.
func (w *visits) stop(patience time.Duration) error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	if len(w.open) == 0 {
		close(w.empty)
	}
	for v := range w.open {
		go v.drain()
	}
	w.mu.Unlock()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case <-w.empty:
		return nil
	case <-late.C:
	}
	w.mu.Lock()
	for v := range w.open {
		go func() { _ = v.Reset() }()
	}
	w.mu.Unlock()
	return errUnfinished
}
