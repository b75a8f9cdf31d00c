package client

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// check is what the segments of one health check have in common: what one answer
// settles is not asked again for each of them.
type check struct {
	mu       sync.Mutex
	surveyed map[*foundGroup]chan struct{} // closed once its members were asked who holds its slots
	silent   map[peer.ID]error             // peers that did not answer a challenge and have met none since
}

func newCheck() *check {
	return &check{surveyed: make(map[*foundGroup]chan struct{}), silent: make(map[peer.ID]error)}
}

// once runs ask for the first caller that comes with a group, and makes the others
// wait for it.
func (k *check) once(g *foundGroup, ask func()) {
	k.mu.Lock()
	done, ok := k.surveyed[g]
	if !ok {
		done = make(chan struct{})
		k.surveyed[g] = done
	}
	k.mu.Unlock()
	if ok {
		<-done
		return
	}
	ask()
	close(done)
}

// silence returns how a peer failed to answer before; nil: it may be asked. A liar
// can name any number of peers that never answer: waiting for each of them at every
// segment would take an hour.
func (k *check) silence(id peer.ID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.silent[id]
}

// note keeps that a peer was silent, or (nil) that it met a challenge.
func (k *check) note(id peer.ID, silence error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if silence == nil {
		delete(k.silent, id)
		return
	}
	k.silent[id] = silence
}
