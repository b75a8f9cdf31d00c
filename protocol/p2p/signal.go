package p2p

import "sync"

// signal wakes whoever waits for a change. Unlike a channel it wakes all, and
// unlike a condition it can be waited for beside a context.
type signal struct {
	mu sync.Mutex
	ch chan struct{} // closed at the next change; guarded by mu
}

func newSignal() *signal { return &signal{ch: make(chan struct{})} }

// next returns a channel that is closed at the next change. It must be asked
// for before the state is looked at.
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
