package repair

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/audit"
	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/protocol/group"
)

// world is one group and the nodes around it, in steps of a quarter of a day. It
// decides nothing: nodes do, by the functions that the real node calls.
type world struct {
	rng      *rand.Rand
	p        protocol.Profile
	segments int
	wall     time.Time
	nodes    []*simNode               // by index; replaced ones stay, dead
	parted   func(a, b *simNode) bool // nil: everybody who is up reaches everybody who is up
	live     liveness.Settings
	audits   audit.Settings

	uptime float64 // of each node, at any step

	deaths, died         int // nodes that went for good, and the shards that they held
	repairs, made, twice int // repairs, the shards that they made, those of them that were there
}

// simNode is a node and what it knows of others, by their index.
type simNode struct {
	nr       int
	id       peer.ID
	at       netip.Addr
	dead, up bool
	watch    liveness.Watch
	mono     time.Duration // the monotonic clock
	wrong    time.Duration // of the wall clock
	cutOff   bool
	slot     int       // -1: none
	until    time.Time // while it has no seat: then it forgets the slot that it was drawn for
	shards   []bool    // of slot, by segment

	seats     *table // nil: not of the group
	standings map[peer.ID]liveness.Standing
	records   map[peer.ID]audit.Record
}

const step = 6 * time.Hour

func newWorld(seed uint64, p protocol.Profile, nodes, segments int) *world {
	w := &world{
		rng: rand.New(rand.NewPCG(seed, 0)), p: p, segments: segments, wall: time.Unix(1_800_000_000, 0), uptime: 0.9,
		live: liveness.DefaultSettings(), audits: audit.DefaultSettings(),
	}
	for range nodes {
		w.add()
	}
	for slot, n := range w.nodes[:p.N] {
		w.join(n, slot)
		for s := range n.shards {
			n.shards[s] = true
		}
	}
	return w
}

func (w *world) add() {
	i := len(w.nodes)
	w.nodes = append(w.nodes, &simNode{
		nr: i, id: peer.ID("node " + strconv.Itoa(i)), at: netip.AddrFrom4([4]byte{20, byte(i), byte(i >> 8), 1}),
		up: true, slot: -1, shards: make([]bool, w.segments),
		standings: map[peer.ID]liveness.Standing{}, records: map[peer.ID]audit.Record{},
	})
}

func (w *world) node(id peer.ID) *simNode {
	i, _ := strconv.Atoi(string(id[len("node "):]))
	return w.nodes[i]
}

func (n *simNode) seat(slot int) group.Seat {
	return group.Seat{Slot: uint8(slot), Peer: n.id, Key: group.KeyOf(n.id), Domain: group.AddrDomain(n.at)}
}

// join gives a node the table that the owner signed, and its own seat in it.
func (w *world) join(n *simNode, slot int) {
	ids := make([]peer.ID, w.p.N)
	for i := range ids {
		ids[i] = w.nodes[i].id
	}
	n.slot = slot
	n.seats = &table{Seats: group.NewSeats(w.p, ids, func(id peer.ID) group.Domain { return group.AddrDomain(w.node(id).at) })}
	for n.seats.Find(n.id) < 0 {
		n.seats.leave(slotSeat(n.seats.Seats, slot))
		n.seats.enter(n.seat(slot), group.View{}, false)
	}
}

func slotSeat(s *group.Seats, slot int) int {
	for i := range s.Held {
		if int(s.Held[i].Slot) == slot {
			return i
		}
	}
	return -1
}

// churn lets nodes come and go, and a part of them a month go for good, to be
// replaced by strangers.
func (w *world) churn(monthly float64) {
	for _, n := range w.nodes[:len(w.nodes):len(w.nodes)] {
		if n.dead {
			continue
		}
		n.up = w.rng.Float64() < w.uptime
		if w.rng.Float64() < monthly*float64(step)/float64(30*24*time.Hour) {
			n.dead, n.up = true, false
			w.deaths++
			for _, has := range n.shards {
				if has {
					w.died++
				}
			}
			w.add()
		}
	}
}

func (w *world) tick(monthly float64) {
	w.wall = w.wall.Add(step)
	w.churn(monthly)
	for _, n := range w.nodes {
		if n.up {
			n.mono += step
			n.watch = n.watch.Read(&w.live, n.mono, w.wall.Add(n.wrong), n.cutOff)
		}
		if n.slot >= 0 && n.seats == nil && w.wall.After(n.until) {
			n.slot = -1
			clear(n.shards)
		}
	}
	for _, n := range w.nodes {
		if n.up && n.seats != nil {
			w.listen(n)
		}
	}
	for _, n := range w.nodes {
		if n.up && n.seats != nil {
			w.ask(n)
			w.mend(n)
		}
	}
}

func (w *world) reaches(n, o *simNode) bool {
	return n.up && o.up && (w.parted == nil || !w.parted(n, o))
}

// listen beats and samples all the peers that a node sees in the group.
func (w *world) listen(n *simNode) {
	for _, s := range n.seats.Held {
		if s.Peer == n.id {
			continue
		}
		o := w.node(s.Peer)
		if !w.reaches(n, o) {
			n.standings[s.Peer] = n.standings[s.Peer].Unanswered(&w.live, n.watch.Now)
			continue
		}
		n.standings[s.Peer] = n.standings[s.Peer].Answered(&w.live, n.watch.Now, liveness.Said{})
		n.records[s.Peer], _ = n.records[s.Peer].Saw(&w.audits, n.watch.Now, audit.OK)
	}
	var c liveness.Census
	for _, s := range n.standings {
		c = c.Add(liveness.Sight{}.Add(&w.live, s, n.watch.Now))
	}
	n.cutOff = c.CutOff()
}
