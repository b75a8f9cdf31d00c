package neighbours

import (
	"time"

	"github.com/cairnstore/cairn/node/liveness"
	"github.com/cairnstore/cairn/protocol/group"
)

// What this node concludes about itself from all of its members together. An owner's
// table makes members of whatever peers it names, and peer IDs cost nothing: here
// failure domains count, each once, as they do where candidates are drawn. Peers whose
// address no connection has shown count as one domain: all peers for a while after a
// start, and for good those that hang up before they can be looked at. A peer that
// only asks for slots does not count at all.

// domain is what the census found in one failure domain.
type domain struct {
	sight   liveness.Sight
	members int
}

// census counts the members; its count may be a little old, because it is asked for
// at every message. While the last count said that all is well, only a neighbour
// that falls silent can change that soon. mu is held.
func (h *Register) census() liveness.Census {
	mono, fresh := h.mono(), h.set.RetryEvery/60
	if !h.hushed && !h.count.CutOff() && !h.count.Probe() {
		fresh = h.set.RetryEvery / 4
	}
	if h.counted && mono-h.countedAt < fresh && mono >= h.countedAt {
		return h.count
	}
	private := h.private()
	clear(h.domains)
	for _, p := range h.peers {
		if p.member {
			at := p.domain(private)
			d := h.domains[at]
			d.sight, d.members = d.sight.Add(h.set, p.standing, h.watch.Now), d.members+1
			h.domains[at] = d
		}
	}
	h.count = liveness.Census{}
	for _, d := range h.domains {
		h.count = h.count.Add(d.sight)
	}
	h.counted, h.countedAt, h.hushed = true, mono, false
	return h.count
}

// CutOff reports whether this node is probably cut off from the world, and has not
// been for too long: then it judges nobody, and begins no repair.
func (h *Register) CutOff() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.cutOff()
}

// cutOff is CutOff where mu is held.
func (h *Register) cutOff() bool {
	h.moment()
	return h.census().CutOff() && h.watch.Excused(h.set)
}

// pace returns for how many neighbours the time between two messages to p is
// stretched. They are no more than if every domain had as many as p's: a crowd in one
// domain stretches its own beats and audits, and not those of all others. mu is held.
func (h *Register) pace(p *neighbour) int {
	if d := h.domains[p.domain(h.private())]; d.members > 0 {
		return min(h.enrolled, d.members*len(h.domains))
	}
	return h.enrolled
}

// Clocks tells the median, as of now, of the clocks of the members that are present
// (zero: none was heard). Each failure domain enters with its own median; heard is
// how many there are. stepped: this node's own clock has made a step within d.
func (h *Register) Clocks(d time.Duration) (median time.Time, heard int, stepped bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, private := h.moment(), h.private()
	clocks := make(map[group.Domain][]int64)
	for _, p := range h.peers {
		if p.member && p.timed && p.state == liveness.Present {
			in := p.domain(private)
			clocks[in] = append(clocks[in], p.offset)
		}
	}
	all := make([]int64, 0, len(clocks))
	for _, offsets := range clocks {
		offset, _ := group.MedianOffset(offsets)
		all = append(all, offset)
	}
	if offset, ok := group.MedianOffset(all); ok {
		median = time.Unix(int64(at/time.Second)+offset, 0)
	}
	return median, len(all), h.watch.Stepped(d)
}
