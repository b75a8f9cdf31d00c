package quota

import (
	"maps"
	"math"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/cairnstore/cairn/protocol"
)

// Bounds and charges of the ledger.
const (
	// GroupCharge is what a group costs besides its shards and facts, in bytes, so
	// that many small groups are no way round the caps.
	GroupCharge = 64 << 10
	// maxReservations bounds the reservations of all sources together.
	maxReservations = 1 << 16
)

// Ledger knows what each group takes and has reserved, which source it is charged
// to, and so how much may still come. It counts; storage measures.
type Ledger struct {
	caps    Caps
	donated int64

	mu       sync.Mutex
	groups   map[protocol.GroupID]*account
	reserved map[protocol.GroupID]*reservation
	shares   map[sharer]*portion
	young    int64         // bytes charged to sources, together
	promised int64         // bytes of all reservations
	inFlight int64         // bytes admitted that the store has not confirmed yet
	longest  time.Duration // of all times for which something was reserved
	expires  time.Time     // no reservation ends before this
}

// account is one group's.
type account struct {
	from Source
	seen time.Time
	used int64 // bytes, with those in flight
	aged bool  // no longer a newcomer: charged to nobody
}

// reservation is what Form promised a group.
type reservation struct {
	from  Source
	bytes int64
	until time.Time
}

// sharer is one whose share is counted: a source, or the wide prefix of some sources.
type sharer struct {
	source Source
	wide   netip.Prefix
}

// sharers returns the sharers that a source's bytes are charged to.
func (s Source) sharers() []sharer {
	list := []sharer{{source: s}}
	if w, ok := s.Wide(); ok {
		list = append(list, sharer{wide: w})
	}
	return list
}

// portion is what is charged to one sharer.
type portion struct {
	bytes        int64
	groups       int
	reservations int
}

// New returns an empty ledger of a node that donates a number of bytes.
func New(caps Caps, donated int64) *Ledger {
	return &Ledger{
		caps: caps, donated: donated,
		groups:   make(map[protocol.GroupID]*account),
		reserved: make(map[protocol.GroupID]*reservation),
		shares:   make(map[sharer]*portion),
	}
}

// charge books a change on a source and on its wide prefix. mu is held.
func (l *Ledger) charge(s Source, d portion) {
	if s.Exempt() {
		return
	}
	l.young += d.bytes
	for _, p := range s.sharers() {
		v := l.shares[p]
		if v == nil {
			v = new(portion)
			l.shares[p] = v
		}
		v.bytes += d.bytes
		v.groups += d.groups
		v.reservations += d.reservations
		if *v == (portion{}) {
			delete(l.shares, p)
		}
	}
}

// portionOf returns what is charged to a source. mu is held.
func (l *Ledger) portionOf(s Source) portion {
	if v := l.shares[sharer{source: s}]; v != nil {
		return *v
	}
	return portion{}
}

// room returns the bytes that a source may still fill. mu is held.
func (l *Ledger) room(s Source) int64 {
	if s.Exempt() {
		return math.MaxInt64
	}
	f := filled{narrow: l.portionOf(s).bytes, all: l.young}
	if w, ok := s.Wide(); ok {
		if v := l.shares[sharer{wide: w}]; v != nil {
			f.wide = v.bytes
		}
	}
	return l.caps.room(l.donated, f)
}

// Free returns what a source may still bring, where the store has free bytes.
func (l *Ledger) Free(s Source, free int64, now time.Time) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(now)
	return max(0, min(free-l.promised-l.inFlight, l.room(s)))
}

// Used returns the bytes that a group is charged with; 0: it has no account.
func (l *Ledger) Used(g protocol.GroupID) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.groups[g]; a != nil {
		return a.used
	}
	return 0
}

// Promised returns the bytes of all reservations.
func (l *Ledger) Promised() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.promised
}

// Open books a group that the store holds already, as a survey found it, if it
// has no account yet.
func (l *Ledger) Open(g protocol.GroupID, from Source, seen time.Time, used int64, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.groups[g] != nil {
		return
	}
	a := &account{from: from, seen: seen, used: used, aged: now.Sub(seen) >= l.caps.Young}
	l.groups[g] = a
	if !a.aged {
		l.charge(from, portion{bytes: used + GroupCharge, groups: 1})
	}
}

// Age takes groups that are no longer newcomers off their source's charge, and
// drops reservations whose time is over.
func (l *Ledger) Age(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, a := range l.groups {
		if !a.aged && now.Sub(a.seen) >= l.caps.Young {
			a.aged = true
			l.charge(a.from, portion{bytes: -a.used - GroupCharge, groups: -1})
		}
	}
	l.expire(now)
}

// expire drops the reservations whose time is over, and those that would last
// longer from now than any was made for: the clock was ahead, and has been set back.
// mu is held.
func (l *Ledger) expire(now time.Time) {
	latest := now.Add(max(l.longest, l.caps.Reservation))
	if !now.After(l.expires) && !l.expires.After(latest) {
		return
	}
	l.expires = now.Add(l.caps.Reservation)
	for g, r := range l.reserved {
		if now.After(r.until) || r.until.After(latest) {
			l.cancel(g, r)
		} else if r.until.Before(l.expires) {
			l.expires = r.until
		}
	}
}

// cancel ends a reservation. mu is held.
func (l *Ledger) cancel(g protocol.GroupID, r *reservation) {
	delete(l.reserved, g)
	l.promised -= r.bytes
	l.charge(r.from, portion{bytes: -r.bytes, reservations: -1})
}

// HasReservation reports whether Form promised something to a group.
func (l *Ledger) HasReservation(g protocol.GroupID, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.expire(now)
	return l.reserved[g] != nil
}

// IDs returns the groups that have an account.
func (l *Ledger) IDs() []protocol.GroupID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Keys(l.groups))
}

// Returned books bytes of a group that the store has freed.
func (l *Ledger) Returned(g protocol.GroupID, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.groups[g]; a != nil {
		l.use(a, -bytes)
	}
}

// use changes what a group takes. mu is held.
func (l *Ledger) use(a *account, bytes int64) {
	a.used += bytes
	if !a.aged {
		l.charge(a.from, portion{bytes: bytes})
	}
}
