package p2p

import "sync"

// signal wakes those that wait for a change. A send on a channel would wake only
// one of them, and a sync.Cond cannot be waited for together with a context.
type signal struct {
	mu sync.Mutex
	ch chan struct{} // closed at the next change; guarded by mu
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

// next returns a channel that is closed at the next change. Call it before
// looking at the state.
func (s *signal) next() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ch
}

// fire tells of a change.
func (s *signal) fire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.ch)
	s.ch = make(chan struct{})
}
