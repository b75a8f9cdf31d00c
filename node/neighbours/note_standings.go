package neighbours

import (
	"maps"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/node/note"
	"github.com/cairnstore/cairn/protocol"
	"github.com/cairnstore/cairn/storage"
)

// standingsNote is the standings of some neighbours, and the watch that they
// are dated by.
type standingsNote struct {
	V     int            `cbor:"v"`
	Watch watchNote      `cbor:"watch"`
	Peers []standingNote `cbor:"peers"`
}

// watchNote is a liveness.Watch, in milliseconds and Unix seconds.
type watchNote struct {
	_        struct{} `cbor:",toarray"`
	Now      int64
	Wall     int64
	Steps    uint32
	LastStep int64
	CutOff   int64
}

// standingNote is a liveness.Standing, in milliseconds.
type standingNote struct {
	_              struct{} `cbor:",toarray"`
	Peer           []byte
	HeardAt        int64
	Since          int64
	Latest         int64
	AwayUntil      int64
	SuspendedUntil int64
	AwayUsed       int64
	SuspendedUsed  int64
	UsedAt         int64
	Tries          uint32
	Fails          uint16
	Heard          bool
}

// noteStandings writes down the standings of those neighbours whose first
// shared group this is. mu is held.
func (h *Register) noteStandings(g *seats) (storage.Fact, error) {
	w := h.watch
	n := standingsNote{V: viewVersion, Peers: []standingNote{}, Watch: watchNote{
		Now: ms(w.Now), Wall: w.Wall.Unix(), Steps: w.Steps, LastStep: ms(w.LastStep), CutOff: ms(w.CutOff),
	}}
	homed := h.homed(g)
	for _, members := range [...]bool{true, false} { // askers where there is room
		for _, p := range homed {
			if s := p.standing; p.member == members && (s.Heard || s.Tries > 0) && len(n.Peers) < maxStandingsNoted {
				n.Peers = append(n.Peers, noteStanding(p.id, s))
			}
		}
	}
	return note.New(g.id, note.Standings, n)
}

func noteStanding(id peer.ID, s liveness.Standing) standingNote {
	return standingNote{
		Peer: []byte(id), HeardAt: ms(s.HeardAt), Since: ms(s.Since), Latest: ms(s.Latest),
		AwayUntil: ms(s.AwayUntil), SuspendedUntil: ms(s.SuspendedUntil),
		AwayUsed: ms(s.AwayUsed), SuspendedUsed: ms(s.SuspendedUsed), UsedAt: ms(s.UsedAt),
		Tries: s.Tries, Fails: s.Fails, Heard: s.Heard,
	}
}

// homed returns the neighbours whose standings are noted next to a group. mu is
// held.
func (h *Register) homed(g *seats) (out []*neighbour) {
	for i := range g.list {
		if p := g.list[i].who; p.shared[0] == g && !slices.Contains(out, p) {
			out = append(out, p)
		}
	}
	return out
}

func parseStandingsNote(b []byte) (*standingsNote, error) {
	n := new(standingsNote)
	if err := protocol.Decode("note of standings", b, n); err != nil {
		return nil, err
	}
	bad := n.V != viewVersion || len(n.Peers) > maxStandingsNoted || n.Watch.Wall < 0 || n.Watch.Wall > protocol.MaxInt ||
		outOfTime(n.Watch.Now, n.Watch.LastStep, n.Watch.CutOff)
	for i := range n.Peers {
		p := &n.Peers[i]
		bad = bad || peer.ID(p.Peer).Validate() != nil || p.Since > p.Latest || p.Latest > n.Watch.Now || p.HeardAt > n.Watch.Now ||
			outOfTime(p.HeardAt, p.Since, p.Latest, p.AwayUntil, p.SuspendedUntil, p.AwayUsed, p.SuspendedUsed, p.UsedAt)
	}
	if bad {
		return nil, protocol.Refuse(protocol.CodeMalformed, "note of standings: a number is out of range")
	}
	return n, nil
}

func (p *standingNote) standing() liveness.Standing {
	return liveness.Standing{
		HeardAt: fromMS(p.HeardAt), Since: fromMS(p.Since), Latest: fromMS(p.Latest),
		AwayUntil: fromMS(p.AwayUntil), SuspendedUntil: fromMS(p.SuspendedUntil),
		AwayUsed: fromMS(p.AwayUsed), SuspendedUsed: fromMS(p.SuspendedUsed), UsedAt: fromMS(p.UsedAt),
		Tries: p.Tries, Fails: p.Fails, Heard: p.Heard,
	}
}

func (w *watchNote) watch() liveness.Watch {
	return liveness.Watch{
		Now: fromMS(w.Now), Wall: time.Unix(w.Wall, 0), Steps: w.Steps, LastStep: fromMS(w.LastStep), CutOff: fromMS(w.CutOff),
	}
}

// restore takes a note of standings: those of neighbours of which nothing else
// is known yet. The watch goes on from the latest moment that any note names.
// mu is held.
func (h *Register) restore(n *standingsNote) {
	if w := n.Watch.watch(); !h.running && (w.Now >= h.watch.Now || h.watch.Wall.IsZero()) {
		w.Now = max(w.Now, h.watch.Now)
		h.watch = w
	}
	for i := range n.Peers {
		p := h.peers[peer.ID(n.Peers[i].Peer)]
		if p != nil && !p.standing.Heard && p.standing.Tries == 0 {
			p.standing = n.Peers[i].standing()
			p.saved = p.standing
			p.state = p.standing.State(h.set)
			p.silent = p.state != liveness.Present
		}
	}
}

// Resume begins to measure time, after all notes were read. Neighbours that were
// found gone before stay so; the others are asked spread over the next while.
func (h *Register) Resume(u func() float64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = true
	mono := h.mono()
	h.touch = h.lastTouch()
	off := !h.watch.Wall.IsZero() && h.now().Sub(h.watch.Wall) >= h.set.AbsentAfter
	h.watch = h.watch.Resume(h.set, mono, h.now())
	for _, p := range h.peers {
		if p.parted = off; off {
			h.doubt(p)
		}
		h.plan(p, mono+time.Duration(u()*float64(liveness.Interval(h.set, liveness.Standing{}, h.enrolled))/6))
	}
}

// lastTouch returns when some neighbour last answered, as far as the notes of the
// run before tell. mu is held.
func (h *Register) lastTouch() time.Time {
	switch {
	case h.watch.Wall.IsZero() || len(h.peers) == 0:
		return h.now()
	case slices.ContainsFunc(slices.Collect(maps.Values(h.peers)), func(p *neighbour) bool { return p.state == liveness.Present }):
		return h.watch.Wall
	}
	return h.watch.Wall.Add(-h.set.AbsentAfter)
}
