package node

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/cairnstore/cairn/node/truth"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// announceRetry is how long a failed announcement waits to be tried again.
const announceRetry = time.Minute

// announcer knows which groups this node should be found for and tells the
// network what changed. The network keeps them announced.
type announcer struct {
	mu      sync.Mutex
	told    map[protocol.GroupID]bool // announced
	changed map[protocol.GroupID]bool // to announce (true) or to withdraw
	wake    chan struct{}
}

func newAnnouncer() *announcer {
	return &announcer{
		told:    make(map[protocol.GroupID]bool),
		changed: make(map[protocol.GroupID]bool),
		wake:    make(chan struct{}, 1),
	}
}

// add wants a group announced, drop withdrawn.
func (a *announcer) add(g protocol.GroupID)  { a.want(g, true) }
func (a *announcer) drop(g protocol.GroupID) { a.want(g, false) }

func (a *announcer) want(g protocol.GroupID, on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.told[g] == on {
		delete(a.changed, g)
		return
	}
	a.changed[g] = on
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// take returns what is to be announced and withdrawn, in batches of one call.
func (a *announcer) take() (on, off []protocol.GroupID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for g, want := range a.changed {
		if want {
			on = append(on, g)
		} else {
			off = append(off, g)
		}
	}
	return on, off
}

// done notes what the network was told, unless it changed again meanwhile.
func (a *announcer) done(list []protocol.GroupID, on bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, g := range list {
		if on {
			a.told[g] = true
		} else {
			delete(a.told, g)
		}
		if want, ok := a.changed[g]; ok && want == on {
			delete(a.changed, g)
		}
	}
}

// announced returns how many groups are announced.
func (a *announcer) announced() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.told)
}

// announceIfMember wants a group announced from its first grant to its last,
// if this node is among its announcers.
func (n *Node) announceIfMember(g *truth.Group) {
	if !g.IsFounded() {
		return
	}
	findable, segments := g.GrantedNow()
	n.neighbours.Grant(g.ID, findable, segments)
	n.reannounce(g.ID)
}

// reannounce wants a group announced or not, as its members now are.
func (n *Node) reannounce(id protocol.GroupID) {
	if members, granted := n.neighbours.ToBeFound(id); granted && slices.Contains(group.Announcers(id, members), n.self) {
		n.announce.add(id)
	} else {
		n.announce.drop(id)
	}
}

// announceOnce tells the network which groups to announce and which no longer.
func (n *Node) announceOnce(context.Context) error {
	on, off := n.announce.take()
	if len(on) > 0 {
		if err := n.cfg.Net.Announce(findKeys(on)...); err != nil {
			return fmt.Errorf("announce %d groups: %w", len(on), err)
		}
		n.announce.done(on, true)
	}
	if len(off) > 0 {
		if err := n.cfg.Net.Withdraw(findKeys(off)...); err != nil {
			return fmt.Errorf("withdraw %d groups: %w", len(off), err)
		}
		n.announce.done(off, false)
	}
	return nil
}

func findKeys(list []protocol.GroupID) []protocol.Key {
	keys := make([]protocol.Key, len(list))
	for i, g := range list {
		keys[i] = protocol.FindKey(g.Prefix())
	}
	return keys
}
