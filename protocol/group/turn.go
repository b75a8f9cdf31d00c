package group

import (
	"math/rand/v2"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// TurnLength returns how long a turn is of a day of a given length.
func TurnLength(day time.Duration) time.Duration { return day / stepsADay }

// stepsADay is how many turns a day has: after 6 h work that is still there
// falls to the next.
const stepsADay = 4

// Day is a day of a group's clock and the step of it: whose turn it is to repair
// and to draw follows from them. They are the wall clock's, for all members must
// draw alike; who has a wrong clock works at the wrong turn, and no more.
type Day struct {
	Number int64
	Step   int // 0 until 4
}

// DayAt returns a group's day at a moment of the wall clock. length is a day's:
// 24 h, or less in a testnet, 4 ms at least. A group's days begin at a moment of
// its own, so that turns do not change everywhere at once.
func DayAt(g protocol.GroupID, length time.Duration, wall time.Time) Day {
	step := max(length.Milliseconds()/stepsADay, 1)
	phase := int64(uint64(g[0])<<8|uint64(g[1])) * step * stepsADay >> 16
	at := wall.UnixMilli() + phase
	n := at / step
	if at%step < 0 {
		n--
	}
	day := n >> 2 // stepsADay
	return Day{day, int(n - day*stepsADay)}
}

// Drawer returns which member draws the candidate of a vacant slot at this turn;
// -1: nobody lives. The turn goes over failure domains, so that many members of
// one have no more say than one, and within a domain to one of them. keys and
// domains are Seats.Keys and DomainKeys; living holds no member that is not.
// One hash, then some nanoseconds a member and step.
func Drawer(g protocol.GroupID, slot int, d Day, keys, domains []Key, living Set) int {
	return NewLot("draw", g, d.Number, byte(slot)).Turn(domains, keys, living, d.Step)
}

// PlausibleDrawer reports whether it may be a member's turn to draw as it sees
// the others, though not as this node does.
func PlausibleDrawer(g protocol.GroupID, slot int, d Day, domains []Key, living Set, member int) bool {
	return NewLot("draw", g, d.Number, byte(slot)).Plausible(domains, living, d.Step, member)
}

// Redraw returns those candidates in the order in which they should be asked for
// a vacant slot: eligible, with room for need bytes, without a seat, and such
// that the group's spread keeps (Fits). It draws uniformly over failure domains,
// as Draw does. Leave out before who failed this member's audits. Nobody left means that the group is thin: there is nothing to
// retry until another candidate appears. It allocates; drawing is rare.
func (s *Seats) Redraw(slot int, cands []Candidate, need int64, private bool, v View, rng *rand.Rand) []Candidate {
	fits := func(c *Candidate) bool {
		return c.eligible(need) && s.Find(c.Peer) < 0 && s.Fits(slot, c.Domain(private), v)
	}
	r := newRoster(cands, fits, private)
	r.shuffle(rng)
	return r.order(1)
}
