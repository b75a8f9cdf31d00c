package client

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/multiformats/go-multiaddr"

	"github.com/cairnstore/cairn/protocol"
)

// move gives slots to other holders, as repair does: with the shards, the facts and
// the group's old table. The old holders are dead. Living members name the new ones.
func (w *world) move(slots ...int) {
	w.t.Helper()
	for i, slot := range slots {
		old, h := w.holders[slot], w.newHolder(1000+len(w.net.holders)+i)
		old.edit(func() {
			h.shards, h.pointers, h.record, h.table, h.group = old.shards, old.pointers, old.record, old.table, old.group
			h.envs = append([][]byte(nil), old.envs...)
			old.mood = dead
		})
		env, err := protocol.SealEnvelope(h.key, 1, []multiaddr.Multiaddr{h.addr})
		if err != nil {
			w.t.Fatal(err)
		}
		w.holders[slot] = h
		for _, m := range w.holders {
			for other, now := range w.holders {
				if e := w.env(now); e != nil {
					m.edit(func() { m.envs[other] = e })
				}
			}
			m.edit(func() { m.envs[slot] = env })
		}
	}
}

func (w *world) env(h *holder) []byte {
	env, err := protocol.SealEnvelope(h.key, 1, []multiaddr.Multiaddr{h.addr})
	if err != nil {
		w.t.Fatal(err)
	}
	return env
}

func slotsTo(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// TestReadMovedGroup reads a group of which repair has moved more than n−k slots, in
// the end all: by old hints if one of them still answers, else by the DHT, else by
// asking everybody.
func TestReadMovedGroup(t *testing.T) {
	for _, c := range []struct {
		name  string
		moved int
		dht   bool
		hints bool
	}{
		{"nine of ten, one old hint lives", 9, false, true},
		{"all, by the DHT", 10, true, false},
		{"all, dead hints and the DHT", 10, true, true},
		{"seven, by the DHT", 7, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 500+uint64(c.moved), middle, 900<<10, 300<<10)
				w.net.latency = 20 * time.Millisecond
				if c.hints {
					w.hint(1, 9)
				}
				w.move(slotsTo(c.moved)...)
				if c.dht {
					w.announce()
				}
				w.mustRead(15 * time.Second)
			})
		})
	}
}

// TestReadAmongFalseNames makes members name false holders for every slot: healthy
// ones without a shard, dead or frozen ones. The file comes back all the same.
func TestReadAmongFalseNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 520, middle, 300<<10, 0)
		w.net.latency = 20 * time.Millisecond
		w.move(0, 1, 2, 3, 4)
		w.announce()
		for i, h := range w.holders[5:] { // five tell the truth
			if i == 0 {
				continue
			}
			false1 := w.newHolder(3000 + i)
			false1.set(mood(i % 3)) // healthy without a shard, dead, frozen
			h.edit(func() {
				for slot := range h.envs {
					h.envs[slot] = w.env(false1)
				}
			})
		}
		w.mustRead(30 * time.Second)
	})
}

// TestHealthOfMovedGroup challenges the peers that hold the slots now, and tells what
// is proved from what is only reported.
func TestHealthOfMovedGroup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 530, middle, 900<<10, 300<<10)
		w.move(0, 1, 2, 3, 4, 5)
		w.announce()
		w.holders[2].set(dead) // all say that it holds slot 2
		h, err := w.newClient().Health(t.Context(), w.link)
		if err != nil {
			t.Fatal(err)
		}
		if h.Reachable != 9 || h.Lost() {
			t.Errorf("%+v", h)
		}
		for slot, hh := range h.Holders {
			if hh.Proved != (slot != 2) || hh.Peer != w.holders[slot].id || hh.Reported != 9 {
				t.Errorf("slot %d: %+v", slot, hh)
			}
		}
	})
}
