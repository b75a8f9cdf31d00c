package group

import (
	"math/rand/v2"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// TurnLength returns how long a turn is in a day of a given length.
func TurnLength(day time.Duration) time.Duration { return day / stepsADay }

// stepsADay is how many turns a day has: after 6 h, work that is still there
// falls to the next member.
const stepsADay = 4

// Day is a day of a group's clock and the step within it: whose turn it is to
// repair and to draw follows from them. They come from the wall clock, because all
// members must draw alike; a member with a wrong clock works at the wrong turn,
// and does no other harm.
type Day struct {
	Number int64
	Step   int // 0 to 3
}

// DayAt returns a group's day at a moment of the wall clock. length is how long a
// day is: 24 h, or less in a testnet, 4 ms at least. Each group's days begin at
// a different moment, so that turns do not change everywhere at the same time.
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

// Drawer returns which member draws the candidate for a vacant slot at this turn;
// -1: nobody lives. Turns go round the failure domains, so that many members of
// one have no more say than one, and within a domain fall to one member. keys and
// domains are Seats.Keys and DomainKeys; only living members may be in living.
// One hash, then some nanoseconds per member and step.
func Drawer(g protocol.GroupID, slot int, d Day, keys, domains []Key, living Set) int {
	return NewLot("draw", g, d.Number, byte(slot)).Turn(domains, keys, living, d.Step)
}

// PlausibleDrawer reports whether it may be a member's turn to draw as that member
// sees the others, though not as this node does.
func PlausibleDrawer(g protocol.GroupID, slot int, d Day, domains []Key, living Set, member int) bool {
	return NewLot("draw", g, d.Number, byte(slot)).Plausible(domains, living, d.Step, member)
}

// Redraw returns the candidates that may take a vacant slot, in the order in which
// they should be asked: eligible, with room for need bytes, without a seat, and
// not spoiling the group's spread (Fits). It draws uniformly over failure domains,
// as Draw does. The caller leaves out those that failed this member's audits. If
// nobody is left, the group is thin. It allocates; drawing is rare.
func (s *Seats) Redraw(slot int, cands []Candidate, need int64, private bool, v View, rng *rand.Rand) []Candidate {
	fits := func(c *Candidate) bool {
		return c.eligible(need) && s.Find(c.Peer) < 0 && s.Fits(slot, c.Domain(private), v)
	}
	r := newRoster(cands, fits, private)
	r.shuffle(rng)
	return r.order(1)
}
