package integration

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"

	cairnnode "github.com/cairnstore/cairn/node"
)

// tally counts what the nodes of a moving network ask of one another, and what
// they make again. w.mu guards it.
type tally struct {
	asked map[string]int // requests that sessions which ended have answered, by kind
	owned bool           // the owners are gone: each shard put is one made again
	made  map[protocol.GroupID][]making
	moved map[protocol.GroupID][]moved
}

// making is one shard that was made again.
type making struct {
	at      time.Time
	segment protocol.SegmentID
	twice   bool // another machine that has not left for ever kept it already
}

func newTally() tally {
	return tally{asked: make(map[string]int), made: make(map[protocol.GroupID][]making), moved: make(map[protocol.GroupID][]moved)}
}

// ask adds what a node answered in its session.
func (c *tally) ask(t *testing.T, n *cairnnode.Node) {
	r := prometheus.NewRegistry()
	if err := r.Register(n.Collector()); err != nil {
		t.Error(err)
		return
	}
	all, err := r.Gather()
	if err != nil {
		t.Error(err)
	}
	for _, f := range all {
		if f.GetName() != "cairn_node_requests_total" {
			continue
		}
		for _, m := range f.GetMetric() {
			kind := ""
			for _, l := range m.GetLabel() { // outcome and request, in this order
				kind = l.GetValue() + " " + kind
			}
			c.asked[strings.TrimSuffix(kind, " ok ")] += int(m.GetCounter().GetValue())
		}
	}
}

func (c *tally) String() string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(c.asked)) {
		if c.asked[k] > 0 {
			fmt.Fprintf(&b, "%s %d, ", k, c.asked[k])
		}
	}
	return strings.TrimSuffix(b.String(), ", ")
}

// total returns how many shards were made again, and how many of these although
// another machine kept them.
func (c *tally) total() (made, twice int) {
	for _, list := range c.made {
		for _, m := range list {
			if made++; m.twice {
				twice++
			}
		}
	}
	return made, twice
}

// atOnce is the time within which the shards of one repair of a group are made:
// members may learn a day apart that a holder is gone, and it takes further time
// until each slot has its candidate.
const atOnce = 4 * day

// upkeep tells what repair moved from each group's first repair to its last, per
// segment: all shards lent and put, for whatever reason, from after the first to
// the end of the last. When less than half a repair's shards are made at a time,
// these stragglers count as moved, but not as a repair.
func (c *tally) upkeep(p protocol.Profile) (u upkeep) {
	for g, list := range c.made {
		slices.SortFunc(list, func(a, b making) int { return a.at.Compare(b.at) })
		segments := make(map[protocol.SegmentID]bool)
		for _, m := range list {
			segments[m.segment] = true
		}
		var first, last time.Time
		for rest := list; len(rest) > 0; {
			n := len(rest)
			if i := slices.IndexFunc(rest, func(m making) bool { return m.at.Sub(rest[0].at) > atOnce }); i >= 0 {
				n = i
			}
			if 2*n >= (p.N-p.R)*len(segments) {
				if last = rest[0].at; first.IsZero() {
					first = last
				} else {
					u.repairs++
				}
			}
			rest = rest[n:]
		}
		passed := 0
		for _, m := range c.moved[g] {
			if m.at.After(first.Add(atOnce)) && !m.at.After(last.Add(atOnce)) {
				passed++
			}
		}
		u.shards += float64(passed) / float64(len(segments))
		u.months += months(last.Sub(first))
	}
	return u
}

// crossed counts the shards that crossed the network, lent and put.
func (c *tally) crossed() (lent, put int) {
	for _, list := range c.moved {
		for _, m := range list {
			if m.put {
				put++
			} else {
				lent++
			}
		}
	}
	return lent, put
}

// watched is a machine's store that tells its network of shards made again.
type watched struct {
	storage.Store
	w *moving
	m *machine
}

// PutShard implements storage.Store.
func (s watched) PutShard(ctx context.Context, x *storage.Shard) error {
	news := !keeps(s.Store, x.Key)
	if err := s.Store.PutShard(ctx, x); err != nil || !news {
		return err
	}
	s.w.noteMade(s.m, x)
	return nil
}

// noteMade counts a shard that a machine took.
func (w *moving) noteMade(by *machine, x *storage.Shard) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.tally.owned {
		return
	}
	v := making{at: time.Now(), segment: x.Key.Segment}
	for _, m := range w.machines {
		v.twice = v.twice || m != by && keeps(m.store, x.Key)
	}
	w.tally.made[x.Group] = append(w.tally.made[x.Group], v)
}

func keeps(s storage.Store, key storage.ShardKey) bool {
	r, err := s.OpenShard(context.Background(), key)
	if err == nil {
		_ = r.Close()
	}
	return err == nil
}

// requests is what all nodes answered since the beginning, by kind.
func (w *moving) requests() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := tally{asked: maps.Clone(w.tally.asked)}
	for _, m := range w.machines {
		if m.node != nil {
			now.ask(w.t, m.node)
		}
	}
	return now.String()
}
