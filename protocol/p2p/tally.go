package p2p

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// tally counts and limits what is open: in all, of each origin, of each peer.
type tally struct {
	most, mostOrigin, mostPeer int

	mu     sync.Mutex
	all    int
	origin map[origin]int
	peer   map[peer.ID]int
}

func newTally(most, mostOrigin, mostPeer int) *tally {
	return &tally{most: most, mostOrigin: mostOrigin, mostPeer: mostPeer, origin: make(map[origin]int), peer: make(map[peer.ID]int)}
}

// enter counts one more, or refuses. leave takes it back.
func (t *tally) enter(p peer.ID, at origin) (leave func(), ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.all >= t.most || t.peer[p] >= t.mostPeer || !at.exempt() && t.origin[at] >= t.mostOrigin {
		return nil, false
	}
	t.all++
	t.peer[p]++
	t.origin[at]++
	return sync.OnceFunc(func() { t.leave(p, at) }), true
}

func (t *tally) leave(p peer.ID, at origin) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all--
	if t.peer[p]--; t.peer[p] == 0 {
		delete(t.peer, p)
	}
	if t.origin[at]--; t.origin[at] == 0 {
		delete(t.origin, at)
	}
}
