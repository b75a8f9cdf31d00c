package client

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

func TestHealthCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 90, middle, 900<<10, 300<<10)
		w.announce()
		h, err := w.newClient().Health(t.Context(), w.link)
		if err != nil {
			t.Fatal(err)
		}
		if h.Reachable != 10 || h.Needed != 4 || h.Segments != 4 || h.Checked != 4 || h.Lost() || h.Domains != 10 || h.AfterWorst5 != 5 {
			t.Errorf("%+v", h)
		}
		w.holders[1].set(lying)
		w.holders[3].set(dead)
		w.holders[5].set(frozen)
		w.holders[7].edit(func() { delete(w.holders[7].shards, w.extents[1].Segment) }) // one shard of four
		h, err = w.newClient().Health(t.Context(), w.link)
		if err != nil {
			t.Fatal(err)
		}
		if h.Reachable != 6 || h.Lost() || h.Name != "a file" || h.Size != 900<<10 {
			t.Errorf("%+v", h)
		}
		for slot, hh := range h.Holders {
			bad := slot == 1 || slot == 3 || slot == 5 || slot == 7
			if hh.Proved == bad || (hh.Err != nil) != bad || hh.Asked != 4 || hh.Slot != slot {
				t.Errorf("%+v", hh)
			}
		}
		if h.Holders[7].Met != 3 {
			t.Errorf("%+v", h.Holders[7])
		}
	})
}

// TestHealthNeverFlatters loses one segment of several, or the manifest, to every
// bad mood: the verdict is "lost", whatever the others show.
func TestHealthNeverFlatters(t *testing.T) {
	for seed, m := range []mood{dead, frozen, lying, refusing} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, 91+uint64(seed), middle, 900<<10, 300<<10)
			w.announce()
			for _, lost := range []protocol.SegmentID{w.extents[2].Segment, w.target.Extent.Segment} {
				for _, h := range w.holders[:7] {
					h.edit(func() { delete(h.shards, lost) })
				}
				h, err := w.newClient().Health(t.Context(), w.link)
				if err != nil || !h.Lost() || h.Reachable != 3 {
					t.Errorf("without 7 of 10 shards of one segment: %+v, %v", h, err)
				}
			}
			w = newWorld(t, 95+uint64(seed), middle, 900<<10, 300<<10)
			w.announce()
			w.spoil(7, m)
			h, err := w.newClient().Health(t.Context(), w.link)
			if err == nil && !h.Lost() {
				t.Errorf("mood %d: %+v", m, h)
			}
			if err != nil && !errors.Is(err, ErrTooFew) && !errors.Is(err, ErrDamaged) {
				t.Errorf("mood %d: %v", m, err)
			}
		})
	}
}

func TestHealthSamples(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 99, small, 100_000, 1000)
		w.announce()
		h, err := w.newClient().Health(t.Context(), w.link)
		if err != nil || h.Segments != 101 || h.Checked != checkSample || h.Reachable != 6 {
			t.Errorf("%+v, %v", h, err)
		}
	})
}

func TestNetworkView(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 100, small, 1000, 0)
		if _, err := w.newClient().NetworkView(t.Context()); !errors.Is(err, ErrNoPeers) {
			t.Errorf("alone: %v", err)
		}
		near := w.bystanders(3, healthy, w.holders[:4]...)
		near[0].info.Accepts = protocol.AcceptsNobody
		near[1].info.Draining = true
		near[2].info.Donated = 0
		w.net.nearest = append(w.net.nearest, w.holders[4].id)
		w.holders[5].info.Network = "another"
		w.net.nearest = append(w.net.nearest, w.holders[5].id)
		w.holders[3].set(frozen)
		begun := time.Now()
		v, err := w.newClient().NetworkView(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(v.Nodes) != 6 || v.Peers != 7 || v.Donated != 6<<40 || v.Domains != 4 || !v.Private || v.Accepts[protocol.AcceptsNobody].Nodes != 1 {
			t.Errorf("%+v", v)
		}
		if d := time.Since(begun); d > viewTimeout {
			t.Errorf("it took %s", d)
		}
		cands, err := w.newClient().candidates(t.Context())
		if err != nil || len(cands) != 4 {
			t.Fatalf("%v, %v", cands, err)
		}
		for _, c := range cands {
			if !c.Addr.IsPrivate() || c.Free != 1<<39 {
				t.Errorf("%+v", c)
			}
		}
	})
}

// TestHealthAmongSilentNames checks a file of many segments of which one holder is
// dead, while peers that hold nothing name others that never answer for all slots.
// The dead one's successor, which honest members name, is found all the same.
func TestHealthAmongSilentNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 910, small, 32*20000, 20000)
		w.announce()
		w.holders[0].set(dead)
		next, liar := w.newHolder(3000), w.holders[1]
		next.shards, next.record, next.table, next.group = w.holders[0].shards, liar.record, liar.table, liar.group
		next.envs = append([][]byte{w.env(next)}, liar.envs[1:]...)
		for _, h := range w.holders[2:] {
			h.envs = next.envs
		}
		silent := make([]*holder, 60)
		for i := range silent {
			h := w.newHolder(4000 + i)
			h.shards, h.record, h.table, h.group, h.silentGet = liar.shards, liar.record, liar.table, liar.group, true
			silent[i] = h
		}
		name := func(h *holder, next []*holder) {
			h.envs = nil
			for slot := range w.holders {
				h.envs = append(h.envs, w.env(next[slot%len(next)]))
			}
		}
		name(liar, silent)
		for i, h := range silent {
			name(h, silent[min(6*(i+1), len(silent)-1):])
		}
		begun := time.Now()
		h, err := w.newClient().Health(t.Context(), w.link)
		if err != nil || h.Reachable != len(w.holders) || h.Holders[0].Peer != next.id {
			t.Errorf("%+v, %v", h, err)
		}
		w.holders[0].shards, next.silentGet = nil, true
		if h, err = w.newClient().Health(t.Context(), w.link); err != nil || h.Reachable != len(w.holders)-1 {
			t.Errorf("%+v, %v", h, err)
		}
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("two checks of 33 segments took %s", took)
		}
	})
}

// TestNobodyTakesData checks that the error says why nothing can be put although
// peers answer.
func TestNobodyTakesData(t *testing.T) {
	for _, tc := range []struct {
		name, says string
		change     func(i int, m *protocol.InfoReply)
	}{
		{"away", "6 nodes answer (5 away, 1 leaving): no node takes data", func(i int, m *protocol.InfoReply) {
			m.AwayUntil, m.Draining = time.Now().Add(time.Hour).Unix(), i == 0
		}},
		{"closed", "6 nodes answer (1 for holders of vouchers only, 5 closed to new data)", func(i int, m *protocol.InfoReply) {
			if m.Accepts = protocol.AcceptsNobody; i == 3 {
				m.Accepts = protocol.AcceptsVouchers
			}
		}},
		{"no nodes", "6 peers answer and none donates space", func(_ int, m *protocol.InfoReply) { m.Donated = 0 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 911, small, 1000, 0)
				for i, h := range w.holders {
					w.net.known = append(w.net.known, h.id)
					tc.change(i, &h.info)
				}
				_, err := w.client.chooseGroup(t.Context(), wanted{size: 1000})
				if !errors.Is(err, ErrNoTakers) || errors.Is(err, ErrNoPeers) || !strings.Contains(err.Error(), tc.says) {
					t.Errorf("%v", err)
				}
			})
		})
	}
}
