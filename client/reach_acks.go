package client

import (
	"maps"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// believedBy is how many of the table's holders must name another peer as a slot's
// holder before its acknowledgement is believed.
const believedBy = 2

// acks are the acknowledgements of one group, and which of them are believed. Each
// peer's counts for one slot. That of a holder in the owner's table counts for its own
// slot. That of another peer counts for the slot for which most of the table's holders
// name it, and is believed when two of them do: a single liar can name any number of
// peers that say whatever it likes. With fewer it is said, not believed.
type acks struct {
	holders []peer.ID // by slot, from the owner's table
	before  []bool    // by slot: believed in earlier sessions

	mu    sync.Mutex
	agree map[peer.ID]bool        // peers that acknowledged
	seen  map[peer.ID]map[int]int // for a peer outside the table, by slot: how many of the table's holders name it there
	most  int                     // the most slots counted so far
}

func newAcks(holders []peer.ID, before []bool) *acks {
	a := &acks{
		holders: holders, before: slices.Clone(before),
		agree: make(map[peer.ID]bool), seen: make(map[peer.ID]map[int]int),
	}
	a.most = a.filled(before)
	return a
}

// yes takes a peer's acknowledgement and returns by how many slots it raises the
// number of those that are said to know.
func (a *acks) yes(id peer.ID) (more int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.agree[id] = true
	_, said := a.count()
	more = max(0, a.filled(said)-a.most)
	a.most += more
	return more
}

// names takes in the holders that a peer names, and returns those that are new and to
// be told. It is called once for each peer. Only a holder in the table is a witness of
// others; any other peer may only say which slot is its own.
func (a *acks) names(by peer.ID, seats []seat) (fresh []peer.ID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	told, _ := a.count()
	witness := slices.Contains(a.holders, by)
	named := make(map[seat]bool)
	for _, s := range seats {
		if slices.Contains(a.holders, s.peer) || told[s.slot] || named[s] || !witness && s.peer != by {
			continue
		}
		named[s] = true
		if a.seen[s.peer] == nil {
			a.seen[s.peer] = make(map[int]int)
			fresh = append(fresh, s.peer)
		}
		if witness {
			a.seen[s.peer][s.slot]++
		} else {
			a.seen[s.peer][s.slot] += 0
		}
	}
	return fresh
}

// wants reports whether a peer that was found is to be told.
func (a *acks) wants(id peer.ID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	slot := slices.Index(a.holders, id)
	return !a.agree[id] && (slot < 0 || !a.before[slot])
}

// told returns, by slot, whether its holder is believed to know.
func (a *acks) told() []bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	told, _ := a.count()
	return told
}

// said returns, by slot, whether a peer that may hold it acknowledges, believed or
// not.
func (a *acks) said() []bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	_, said := a.count()
	return said
}

// allTold reports whether the holders of all slots know, except vacant slots.
func allTold(holders []peer.ID, told []bool) bool {
	for slot, ok := range told {
		if !ok && holders[slot] != "" {
			return false
		}
	}
	return true
}

// filled returns how many of the slots that are set are not vacant in the table.
func (a *acks) filled(slots []bool) (n int) {
	for slot, ok := range slots {
		if ok && a.holders[slot] != "" {
			n++
		}
	}
	return n
}

// count returns, by slot, which acknowledgements are believed and which are said at
// least. mu is held.
func (a *acks) count() (told, said []bool) {
	told, said = slices.Clone(a.before), slices.Clone(a.before)
	for id := range a.agree {
		if slot := slices.Index(a.holders, id); slot >= 0 {
			told[slot], said[slot] = true, true
			continue
		}
		best := -1
		for _, slot := range slices.Sorted(maps.Keys(a.seen[id])) {
			if best < 0 || a.seen[id][slot] > a.seen[id][best] {
				best = slot
			}
		}
		if best >= 0 {
			said[best] = true
			told[best] = told[best] || a.seen[id][best] >= believedBy
		}
	}
	return told, said
}

// each runs f for all of a list at the same time, and waits for them.
func each[T any](list []T, f func(int, T)) {
	var all sync.WaitGroup
	for i, v := range list {
		all.Go(func() { f(i, v) })
	}
	all.Wait()
}
